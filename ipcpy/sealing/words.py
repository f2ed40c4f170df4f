"""256 short words: one for each value of a byte, so that people can compare a few bytes by reading them aloud.

Knows words only. Their order is part of what users see and must not change; no two begin with the same four letters.
"""

from __future__ import annotations

__all__ = ["WORDS", "spell"]

WORDS: tuple[str, ...] = tuple(
    """
    acid acorn actor agent album alley amber angle ankle apple apron arch arena arrow atlas attic bacon badge banjo
    barn basil beach bench bike birch blade bloom boat bolt bonus brick brush cabin camel canoe cedar cello chalk
    chess cider clay clock cloud comet coral crane cube cycle dawn deer delta diary disco dock door drum dune eagle
    earth easel echo elbow ember epic farm fence ferry field finch flag flint flute fox frost fuel gecko ghost giant
    glass glove gold gong grape gull habit hawk hazel heron hill hinge honey horn house ice igloo index iris iron
    ivory jelly jewel judge kayak kiosk kite knot koala lake lamp lark laser leaf lemon lens level lily linen lion
    lobby lotus lunar magnet mango maple marble meadow melon metal mill mint mirror moon moss motor mural music
    napkin needle nest nickel noble north novel nugget nylon oak oasis ocean olive onion opal orbit orchid otter
    oval oxygen paddle palm panda paper parrot peach pearl pebble pencil petal piano pilot pine pixel planet plum
    pocket polar pony poppy prism puzzle quail quartz queen quill rabbit radar raft rain raven reef ribbon ring
    river robin rocket rope ruby saddle salmon sand satin scarf seal shell silver skate slate snow sofa solar spark
    spoon spring stone sugar summit swan table tango tea temple tent thumb tiger timber toast topaz tower train
    tulip tunnel turtle umbra valley vapor velvet vessel violet visor wagon walnut water wave whale wheat willow
    window winter wolf wool xenon yacht yarn yellow zebra zenith zinc zone
    """.split()
)


def spell(data: bytes) -> str:
    """Return bytes as words, one each.

    >>> spell(bytes([0, 1, 255]))
    'acid acorn zone'
    """
    return " ".join(map(WORDS.__getitem__, data))
