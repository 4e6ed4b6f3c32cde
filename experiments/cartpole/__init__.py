"""The cartpole: agents on pixels, keypoints, and imitation."""
