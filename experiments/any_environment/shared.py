"""What all runs of a configuration share: recorded play, the teacher and its film, and episodes to learn from."""

from __future__ import annotations

from functools import cached_property

from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.environment import Environment
from experiments.any_environment.motion import Episode, episodes_of, least_change
from experiments.any_environment.play import Policy, Recording, load_or_record, random_play
from experiments.any_environment.standard import Standard
from experiments.any_environment.teacher import filmed, other_demonstrations, taught
from experiments.any_environment.trusted import trusted_policy
from experiments.any_environment.videos import of_film, of_video
from experiments.imitation.demonstration import Demonstration


class Shared:
    """What all runs of a configuration share: recorded play, the teacher, and its film; each is made when asked for.

    Args:
        config: The run.
        environment: Where.
    """

    def __init__(self, config: ImitationConfig, environment: Environment) -> None:
        self._config = config
        self._environment = environment

    @cached_property
    def play(self) -> Recording:
        """Random actions."""
        config, environment = self._config, self._environment
        return load_or_record(
            config.play_file, environment, config.play.episodes, config.play.seed, lambda: random_play(environment)
        )

    @cached_property
    def standard(self) -> Standard:
        """Units of the state."""
        return Standard.of(self.play)

    @cached_property
    def teacher(self) -> Policy:
        """What acts in the film."""
        if self._config.teacher.trusted_zip is not None:
            return trusted_policy(self._config, self._environment)
        return taught(self._config, self._environment, self.standard)

    @cached_property
    def demonstration(self) -> Demonstration:
        """The video to imitate."""
        config = self._config
        if config.demo is not None:
            return of_video(config.demo, config.env.image_size, config.demo_start, config.demo_stop)
        return of_film(filmed(config, self._environment, lambda: self.teacher), self.standard)

    @cached_property
    def others(self) -> Recording | None:
        """The teacher's other episodes."""
        if self._config.demo is not None:
            return None
        return other_demonstrations(self._config, self._environment, lambda: self.teacher)

    @cached_property
    def least_change(self) -> float:
        """The change of a picture that counts as movement."""
        return least_change(self.play.frames)

    @cached_property
    def episodes(self) -> tuple[list[Episode], list[Episode]]:
        """What an encoder learns from, and what is held out, of play and of the teacher's other episodes alike.

        Raises:
            ValueError: If too little moves in what is held out.
        """
        held = self._config.play.validation
        play = episodes_of(self.play, self.least_change)
        others = [] if self.others is None else episodes_of(self.others, self.least_change)
        some = round(len(others) * held / len(play))
        learned, held_out = [*play[held:], *others[some:]], [*play[:held], *others[:some]]
        held_out = [episode for episode in held_out if len(episode.frames) > 1]
        if len(held_out) < 2:
            raise ValueError(
                f"Of {held} held-out episodes of play {len(held_out)} show any movement; record more, by "
                "--play.episodes and --play.validation."
            )
        return learned, held_out
