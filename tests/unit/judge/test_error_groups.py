"""Wrong answers of a judgement in groups: by concepts, by texts, by reviewers."""

from __future__ import annotations

from dataclasses import replace

from training_service.domain.evidence import Answered, Evidence, Ranked, Slip
from training_service.judge.error_groups import NO_CONCEPT, ErrorGroups, error_groups

TEXTS = {
    "baker": ("Baker", "dough maker", "night cook"),
    "cook": ("Cook", "Night  Cook", "kitchen hand"),
    "driver": ("Driver", "lorry driver"),
}


def answered(query: str, gold: str, *offered: str, probability: float = 0.5) -> Answered:
    """An answer with these candidates; no gold concept stands for a foreign query."""
    return Answered(
        query=query,
        gold=(gold,) if gold else (),
        rejected=(),
        is_foreign=not gold,
        is_recent=False,
        candidates=tuple(Ranked(key, 0.5) for key in offered),
        probability=probability,
        decision="review",
        rank=offered.index(gold) + 1 if gold in offered else None,
    )


def grouped(*answers: Answered, slips: tuple[Slip, ...] = ()) -> ErrorGroups:
    """The errors among ``answers``."""
    return error_groups(Evidence(answers, slips=slips), TEXTS)


def test_concepts_are_confused_both_ways() -> None:
    """A pair is one group whichever was meant, with its counts there and back."""
    found = grouped(
        answered("bread", "baker", "cook", "baker", probability=0.4),
        answered("soup", "cook", "baker", "cook", probability=0.9),
        answered("cake", "baker", "cook", "baker"),
        answered("van", "driver", "cook", "driver"),
        answered("loaf", "baker", "baker", "cook"),
    )
    assert (found.known, found.foreign, len(found.wrong)) == (5, 0, 4)
    first, second = found.confusions
    assert (first.first, first.second) == ("baker", "cook")
    assert (first.first_as_second, first.second_as_first) == (2, 1)
    assert [each.query for each in first.wrong] == ["cake", "bread", "soup"]
    assert (second.first, second.second, second.first_as_second) == ("driver", "cook", 1)


def test_the_way_with_more_errors_comes_first() -> None:
    """There is never less than back, the first example is one of there, and even goes by id."""
    there = answered("soup", "cook", "baker", probability=0.4)
    back = answered("cake", "baker", "cook", probability=0.9)
    (alone,) = grouped(there).confusions
    assert (alone.first, alone.second) == ("cook", "baker")
    assert (alone.first_as_second, alone.second_as_first) == (1, 0)
    (more,) = grouped(back, there, replace(there, query="stew")).confusions
    assert (more.first_as_second, more.second_as_first) == (2, 1)
    assert [(each.query, each.right) for each in more.wrong] == [
        ("soup", "cook"),
        ("stew", "cook"),
        ("cake", "baker"),
    ]
    (even,) = grouped(there, back).confusions
    assert (even.first, even.wrong[0].query) == ("baker", "cake")
    (turned,) = grouped(replace(there, probability=0.9), replace(back, probability=0.4)).confusions
    assert (turned.first, turned.wrong[0].query) == ("baker", "cake")


def test_the_best_placed_right_concept_is_the_one_that_was_missed() -> None:
    """Of several right concepts the one offered first counts, else the smallest id."""
    near = replace(answered("x", "baker", "cook", "driver", "baker"), gold=("baker", "driver"))
    far = replace(answered("y", "baker", "cook"), gold=("driver", "baker"))
    found = grouped(near, far)
    assert {each.query: each.right for each in found.wrong} == {"x": "driver", "y": "baker"}


def test_a_foreign_query_is_wrong_unless_it_is_rejected() -> None:
    """What means no concept is confused with the one that was offered all the same."""
    rejected = replace(answered("poem", "", "baker"), decision="reject")
    found = grouped(answered("song", "", "baker"), rejected)
    assert (found.known, found.foreign, found.foreign_wrong) == (0, 2, 1)
    assert [(pair.first, pair.second) for pair in found.confusions] == [(NO_CONCEPT, "baker")]


def test_a_query_without_a_known_truth_is_not_counted() -> None:
    """A query of which reviewers only said what it does not mean is neither right nor wrong."""
    only_rejected = replace(answered("x", "", "baker"), is_foreign=False, rejected=("baker",))
    found = grouped(only_rejected)
    assert (found.known, found.foreign, found.wrong) == (0, 0, ())


def test_a_text_under_both_concepts_is_named() -> None:
    """The shared text most like the query is told, with every concept that it stands under."""
    (text,) = grouped(answered("cook at night", "baker", "cook", "baker")).texts
    assert (text.text, text.concepts) == ("night cook", ("baker", "cook"))
    assert 0 < text.likeness < 1


def test_a_query_that_is_a_text_of_the_wrong_concept_is_named() -> None:
    """Asked word for word, a text that stands under the wrong concept alone is the reason."""
    (text,) = grouped(answered("Kitchen HAND", "baker", "cook", "baker")).texts
    assert (text.text, text.concepts, text.likeness) == ("kitchen hand", ("cook",), 1.0)


def test_a_shared_text_that_is_nothing_like_the_query_is_not_blamed() -> None:
    """Concepts without a common text, or with one of other letters, blame no text."""
    assert grouped(answered("zzz", "baker", "cook", "baker")).texts == ()
    assert grouped(answered("lorry", "baker", "driver", "baker")).texts == ()


def test_slips_are_listed_by_doubt() -> None:
    """The answer that contradicts the surest matcher comes first."""
    slips = (Slip("a", "cook", True, 0.7, "baker"), Slip("b", "cook", False, 0.9, "cook", 12))
    assert [slip.query for slip in grouped(slips=slips).slips] == ["b", "a"]


def test_an_answer_without_candidates_missed_its_concept() -> None:
    """Where nothing was offered, the right concept is confused with none."""
    (pair,) = grouped(answered("x", "baker")).confusions
    assert (pair.first, pair.second, pair.first_as_second) == ("baker", NO_CONCEPT, 1)
