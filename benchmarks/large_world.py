"""A number of rows becomes a vocabulary of that many texts, ten to a concept, in our own words."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

TEXTS_A_CONCEPT = 10

_FIELDS = """aerial alpine arctic audio bridge bronze cargo cedar ceramic coastal copper cotton
crystal dairy desert digital estuary fabric ferry fiber forest garden geo glass grain granite
harbor herbal highway hydro indoor iron island kinetic laser leather linen lunar marble marine
meadow metal micro mobile mural nautical nickel oak ocean onyx optical orbital orchard organic
paper pearl pine plasma plaza polar prairie quartz rail rapid river robotic rural satin savanna
silk silver solar sonic stone studio sugar summit textile thermal tidal timber tram tropical
tunnel turbine urban velvet vineyard violet wagon walnut water willow wind winter wool"""
_OBJECTS = """anchor archive axle barrel basket battery beacon bell blanket boiler bottle bracket
brick brush bucket cabinet cable camera candle canvas carpet chain chart chisel clock coil compass
crane crate cylinder dome door drill engine fence filter flute frame furnace gauge gear glove
hammer harness helmet hinge hull jacket kettle keyboard ladder lamp lantern latch ledger lens
lever lock loom magnet map mast meter mirror mosaic motor needle nozzle oven paddle panel piano
pipe piston plank plate pump radio reactor reel ring roof rope rudder sail sensor shelf shutter
signal spring statue stove switch tank tent tile tower trailer valve vault wheel window"""
_TRADES = """adviser analyst appraiser assembler auditor breeder broker buyer calibrator carrier
caster cleaner coach collector composer coordinator curator cutter dealer decorator designer
dispatcher drafter driver editor engraver erector estimator examiner fabricator finisher fitter
forecaster framer gilder grader grinder guard guide handler inspector installer instructor keeper
lacquerer librarian loader machinist maker manager mechanic mender merchant mixer modeller mounter
operator packer painter planner polisher porter presser printer programmer recycler refiner
renter repairer restorer rigger scheduler sealer seller setter shaper sharpener smith sorter
stacker surveyor tender tester trader trainer treater tuner turner upholsterer weaver welder
winder wrapper writer"""
_FORMS = (
    "{f} {o} {t}",
    "{t} of {f} {o}s",
    "senior {f} {o} {t}",
    "{f} {o} {t} II",
    "apprentice {t}, {f} {o}",
    "{f}-{o} {t} and trainer",
    "certified {t} for {f} {o}s",
    "{o} {t} ({f})",
    "lead {t} {f} {o} shift",
    "{f} {o} plant {t}",
    "{t}: {f} {o} line",
    "travelling {f} {o} {t}",
)


def concepts(rows: int, seed: int = 20261121) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Concept ids with ten distinct texts each, ``rows`` texts in all, the same for one seed."""
    fields, things, jobs = _FIELDS.split(), _OBJECTS.split(), _TRADES.split()
    objects, trades = len(things), len(jobs)
    mixed = list(range(len(fields) * objects * trades))
    chance = random.Random(seed)
    chance.shuffle(mixed)
    for ordinal, number in enumerate(mixed[: rows // TEXTS_A_CONCEPT]):
        words = {
            "f": fields[number // (objects * trades)],
            "o": things[number // trades % objects],
            "t": jobs[number % trades],
        }
        forms = chance.sample(_FORMS, TEXTS_A_CONCEPT)
        yield f"C{ordinal:06d}", tuple(form.format(**words) for form in forms)


def write_world(path: Path, rows: int) -> int:
    """Write ``rows`` texts as JSON lines of concepts; how many they are."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for key, texts in concepts(rows):
            record = {"id": key, "label": texts[0], "synonyms": texts}
            file.write(json.dumps(record) + "\n")
            written += len(texts)
    return written
