"""A boat between two banks: it drifts to one of them, and its engine should keep it in the middle."""

import gymnasium as gym
import numpy as np


class MyEnv(gym.Env):
    """Observes place and speed; the action is the engine's push, -1 to 1."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.array([self.np_random.uniform(-0.9, 0.9), 0.0])
        return self.state.astype(np.float32), {}

    def step(self, action):
        speed = 0.9 * self.state[1] + 0.005 + 0.02 * float(np.clip(action[0], -1, 1))
        self.state = np.clip([self.state[0] + speed, speed], -1, 1)
        return self.state.astype(np.float32), -abs(self.state[0]), False, False, {}

    def render(self):
        picture = np.full((96, 96, 3), (60, 120, 180), np.uint8)
        picture[46:50] = picture[:, :6] = picture[:, -6:] = (40, 90, 60)
        column = round(48 + 36 * self.state[0])
        picture[40:56, column - 6 : column + 6] = (240, 240, 220)
        return picture

    def take_snapshot(self):  # these two are optional: with them, episodes begin where the video does
        return {"state": self.state.copy()}

    def restore_snapshot(self, snapshot):
        self.state = np.array(snapshot["state"])
        return self.state.astype(np.float32)


gym.register("MyEnv-v0", "my_environment:MyEnv", max_episode_steps=50)
