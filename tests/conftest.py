from envs.graphics import select_backend

select_backend()  # before any test imports mujoco
