"""The MJCF of the one table-top scene that every task shares."""

from __future__ import annotations

import hashlib
import math

import numpy as np

TIMESTEP_S = 0.004
CUBE_HALF_SIDE_M = 0.025
FINGER_TRAVEL_M = 0.04
TRAY_LOW_M = (0.29, -0.31)
TRAY_HIGH_M = (0.73, 0.31)

# From the robot's left, where the hand hides the cube least, low and far away; the tray
# fills the picture from below, and the whole hand is in it up to the highest goal.
CAMERA_POS_M = (0.51, 1.59, 0.97)
CAMERA_TARGET_M = (0.51, -0.023, 0.125)
CAMERA_FOVY_DEG = 19.4

# Published joint limits of the Franka Emika Panda [rad].
JOINT_LOW = (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973)
JOINT_HIGH = (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973)

# Published Denavit-Hartenberg chain of the Panda as MJCF frames:
# (position in the parent [m], rotation about the parent's x axis [quarter turns]).
_LINKS = (
    ((0.0, 0.0, 0.333), 0),
    ((0.0, 0.0, 0.0), -1),
    ((0.0, -0.316, 0.0), 1),
    ((0.0825, 0.0, 0.0), 1),
    ((-0.0825, 0.384, 0.0), -1),
    ((0.0, 0.0, 0.0), 1),
    ((0.088, 0.0, 0.0), 1),
)

# Capsules drawn on each link: (from, to, radius) in the link's frame [m]. Thinner
# than the real arm's toward the hand, so that the cube is rarely hidden by it.
_LINK_CAPSULES = (
    (((0, 0, -0.16), (0, 0, -0.04), 0.046),),
    (((0, 0, -0.05), (0, 0, 0.05), 0.046),),
    (((0, 0, -0.16), (0, 0, -0.04), 0.043),),
    (((0, 0, -0.05), (0, 0, 0.05), 0.03),),
    (((0, 0, -0.24), (0, 0, -0.18), 0.029), ((0, 0.07, -0.16), (0, 0.08, 0), 0.017)),
    (((0, 0, -0.05), (0, 0, 0.04), 0.026),),
    (((0, 0, -0.02), (0, 0, 0.06), 0.025),),
)

_STIFFNESS = (9000, 9000, 7000, 7000, 4000, 4000, 4000)
_DAMPING = (200, 200, 160, 160, 90, 90, 90)
# [N m]. A hand that is told to go through the cube presses it with about 100 N at most.
_FORCE = (50, 50, 50, 50, 20, 20, 20)
# Contacts of cube, fingers and table. MuJoCo's own are soft: under such a press a cube
# of 100 g sinks centimetres deep into the table, and leaves it like a shot. Harder
# ones let a cube that is pushed fast hop on by up to 11 cm.
_FIRM = 'solref="0.015 1" solimp="0.97 0.995 0.001"'
# Friction of the table and of the fingers, each with the cube, whose own is below both.
# Their product is below 1: otherwise a cube that is pushed jams.
_TABLE_FRICTION = 'friction="1.2 0.01 0.001"'
_FINGER_FRICTION = 'friction="0.8 0.05 0.001"'
_CUBE_FRICTION = 'friction="0.3 0.01 0.001"'
# Mass [kg] and a box-like diagonal inertia [kg m^2] for each link.
_LINK_MASS = (3.0, 3.0, 2.5, 2.5, 2.5, 1.5, 0.6)

# Six faces: (axis, sign, rgb). All warm, while everything else is cold or grey: no
# face can be taken for a part of the arm or of the table.
_FACES = (
    (0, 1, "0.95 0.08 0.08"),
    (0, -1, "1.00 0.85 0.05"),
    (1, 1, "0.90 0.10 0.75"),
    (1, -1, "1.00 0.50 0.05"),
    (2, 1, "1.00 0.72 0.72"),
    (2, -1, "0.55 0.05 0.15"),
)


def _vector(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _quarter_turn_x(turns: int) -> str:
    half = turns * math.pi / 4
    return _vector((math.cos(half), math.sin(half), 0.0, 0.0))


def _camera_axes() -> str:
    """The camera's right and up axes when it looks at its target, world z up."""
    forward = np.subtract(CAMERA_TARGET_M, CAMERA_POS_M)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    up /= np.linalg.norm(up)
    return _vector((*right, *up))


def _link_open(index: int) -> str:
    """Opens the body of one link (closed by the caller)."""
    position, turns = _LINKS[index]
    mass = _LINK_MASS[index]
    inertia = mass * 0.01
    capsules = "".join(
        f'<geom class="shell" type="capsule" size="{radius}" '
        f'fromto="{_vector(start)} {_vector(end)}"/>'
        for start, end, radius in _LINK_CAPSULES[index]
    )
    return (
        f'<body name="link{index + 1}" pos="{_vector(position)}" '
        f'quat="{_quarter_turn_x(turns)}" gravcomp="1">'
        f'<inertial pos="0 0 0" mass="{mass}" '
        f'diaginertia="{inertia} {inertia} {inertia}"/>'
        f'<joint name="joint{index + 1}" axis="0 0 1" '
        f'range="{JOINT_LOW[index]} {JOINT_HIGH[index]}" armature="0.1"/>'
        f"{capsules}"
    )


def _finger(name: str, side: int) -> str:
    """One finger that slides along the hand's y axis; opens toward `side`."""
    return f"""
    <body name="{name}_finger" pos="0 0 0.0584" gravcomp="1">
      <inertial pos="0 0 0.02" mass="0.05" diaginertia="2e-5 2e-5 1e-5"/>
      <joint name="{name}_finger" type="slide" axis="0 {side} 0"
             range="0 {FINGER_TRAVEL_M}" armature="0.2" damping="4"/>
      <geom class="finger" pos="0 {side * 0.0065} 0.015"
            size="0.012 0.0065 0.03"/>
    </body>"""


def _hand() -> str:
    return f"""
    <body name="hand" pos="0 0 0.107" quat="0.9238795 0 0 -0.3826834" gravcomp="1">
      <inertial pos="0 0 0.03" mass="0.6" diaginertia="2e-3 1e-3 2e-3"/>
      <geom class="hand" pos="0 0 0.025" size="0.016 0.054 0.014"/>
      <geom class="mark" pos="0.016 0 0.025" size="0.001 0.052 0.012"/>
      <site name="gripper" pos="0 0 0.1034" rgba="0 0 0 0"/>
      {_finger("left", 1)}
      {_finger("right", -1)}
    </body>"""


def _arm() -> str:
    opening = "".join(_link_open(index) for index in range(7))
    return f"""
    <body name="base">
      <geom class="shell" type="capsule" size="0.07" fromto="0 0 0.02 0 0 0.14"/>
      {opening}{_hand()}{"</body>" * 7}
    </body>"""


def _cube() -> str:
    half = CUBE_HALF_SIDE_M
    plates = []
    for axis, sign, rgb in _FACES:
        position = [0.0, 0.0, 0.0]
        position[axis] = sign * half
        size = [half * 0.96] * 3
        size[axis] = 0.0006
        plates.append(
            f'<geom name="face{axis}{"+" if sign > 0 else "-"}" class="face" '
            f'pos="{_vector(tuple(position))}" size="{_vector(tuple(size))}" '
            f'rgba="{rgb} 1"/>'
        )
    return f"""
    <body name="cube" pos="0.5 0 {half}">
      <freejoint name="cube"/>
      <geom name="cube" class="cube" size="{half} {half} {half}"/>
      {"".join(plates)}
    </body>"""


def _tray() -> str:
    (low_x, low_y), (high_x, high_y) = TRAY_LOW_M, TRAY_HIGH_M
    mid_x, mid_y = (low_x + high_x) / 2, (low_y + high_y) / 2
    half_x, half_y = (high_x - low_x) / 2, (high_y - low_y) / 2
    rails = (
        ((low_x, mid_y), (0.008, half_y + 0.008)),
        ((high_x, mid_y), (0.008, half_y + 0.008)),
        ((mid_x, low_y), (half_x, 0.008)),
        ((mid_x, high_y), (half_x, 0.008)),
    )
    return "".join(
        f'<geom class="rail" pos="{x} {y} 0.012" size="{sx} {sy} 0.012"/>'
        for (x, y), (sx, sy) in rails
    )


def _actuators() -> str:
    joints = "".join(
        f'<position name="joint{i + 1}" joint="joint{i + 1}" '
        f'kp="{_STIFFNESS[i]}" kv="{_DAMPING[i]}" '
        f'ctrlrange="{JOINT_LOW[i]} {JOINT_HIGH[i]}" '
        f'forcerange="-{_FORCE[i]} {_FORCE[i]}"/>'
        for i in range(7)
    )
    fingers = "".join(
        f'<position name="{name}_finger" joint="{name}_finger" kp="1500" kv="60" '
        f'ctrlrange="0 {FINGER_TRAVEL_M}" forcerange="-25 25"/>'
        for name in ("left", "right")
    )
    return f"<actuator>{joints}{fingers}</actuator>"


_HEADER = f"""
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{TIMESTEP_S}" integrator="implicitfast" cone="elliptic"
          impratio="10"/>
  <visual>
    <headlight ambient="0.45 0.45 0.45" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
    <quality shadowsize="0" offsamples="4" numslices="12" numstacks="6"/>
    <global offwidth="640" offheight="640"/>
    <map znear="0.05" zfar="10"/>
  </visual>
  <default>
    <geom type="box"/>
    <default class="shell">
      <geom contype="0" conaffinity="0" rgba="0.17 0.2 0.3 1"/>
    </default>
    <default class="hand"><geom contype="2" conaffinity="1" rgba="0.2 0.2 0.25 1"/>
    </default>
    <default class="mark"><geom contype="0" conaffinity="0" rgba="0 0.85 0.9 1"/>
    </default>
    <default class="finger">
      <geom contype="2" conaffinity="1" rgba="0.1 0.8 0.3 1"
            {_FINGER_FRICTION} condim="4" {_FIRM}/>
    </default>
    <default class="cube">
      <geom contype="1" conaffinity="7" rgba="0.1 0.1 0.1 1" condim="4"
            {_CUBE_FRICTION} mass="0.1" {_FIRM}/>
    </default>
    <default class="face"><geom contype="0" conaffinity="0" mass="0"/></default>
    <default class="rail"><geom contype="4" conaffinity="1" rgba="0.2 0.24 0.28 1"/>
    </default>
  </default>"""


def arm_xml() -> str:
    """The arm alone, for inverse kinematics (no cube, no tray, no actuators)."""
    return f'<mujoco model="arm">{_HEADER}<worldbody>{_arm()}</worldbody></mujoco>'


def scene_xml() -> str:
    """The whole scene: table, tray, arm with gripper, cube, light and camera."""
    return f"""<mujoco model="tabletop">{_HEADER}
  <worldbody>
    <light name="sun" directional="true" pos="0.8 0.6 1.5" dir="-0.35 -0.4 -0.85"
           diffuse="0.55 0.55 0.55" specular="0 0 0" castshadow="false"/>
    <camera name="left" pos="{_vector(CAMERA_POS_M)}" fovy="{CAMERA_FOVY_DEG}"
            xyaxes="{_camera_axes()}"/>
    <geom name="table" type="box" pos="0.4 0 -0.02" size="0.55 0.6 0.02"
          contype="4" conaffinity="1" rgba="0.6 0.64 0.68 1"
          {_TABLE_FRICTION} condim="4" {_FIRM}/>
    {_tray()}{_arm()}{_cube()}
  </worldbody>
  {_actuators()}
</mujoco>"""


def scene_hash() -> str:
    """12 hexadecimal digits that name the scene: camera, light, arm, cube, table."""
    return hashlib.sha256(scene_xml().encode()).hexdigest()[:12]
