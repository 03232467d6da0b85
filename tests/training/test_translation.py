"""Learning to translate: what is drawn and in which order, that a stopped run goes on as one that was not, what is read off a model."""

import collections
import dataclasses
import os
import signal

import numpy as np
import pytest
from test_loop import everything

from tinymem.models.transformer import TransformerConfig
from tinymem.models.translator import TranslatorConfig
from tinymem.tasks.bleu import bleu
from tinymem.tasks.translation.dates import DateTask
from tinymem.tasks.translation.libreoffice import Corpus, LibreOfficeTask
from tinymem.tasks.translation.numbers import NumberTask, number_pair
from tinymem.training import translation
from tinymem.training.configs import from_plain, to_plain
from tinymem.training.experiment import Experiment, load_trained, run_experiment
from tinymem.training.loop import Schedule, Stopped
from tinymem.training.optimisers import Adam
from tinymem.training.runfolder import BEST
from tinymem.training.search import Search
from tinymem.training.translation import SLOWEST, Translation, TranslationCourse, bits_per_word, forced_attention, noam, translations

NUMBERS = NumberTask(longest=3)
WORDS = tuple(map(len, NUMBERS.vocabularies))
SMALL = TranslatorConfig(*WORDS, embedding=6, hidden=8, encoder_hidden=5, dropout=0.2)
TRANSFORMER = TransformerConfig(*WORDS, layers=1, width=8, heads=2, inner=6, dropout=0.2)
both_models = pytest.mark.parametrize("config", [SMALL, TRANSFORMER], ids=["translator", "transformer"])
SHORT = Schedule(7, batch=3, log_every=2, validate_every=2, checkpoint_every=4, clip=1.0, clip_by="norm")
PAIRS = tuple(number_pair(number) for number in range(100, 123))


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch):
    monkeypatch.setattr(translation, "VALIDATED", 6)


@pytest.fixture
def small_corpus(monkeypatch):
    """Number names in place of LibreOffice: 15 pairs to learn from."""
    corpus = Corpus(PAIRS[:15], PAIRS[15:18], PAIRS[18:])
    monkeypatch.setattr(translation, "libreoffice", lambda: corpus)
    monkeypatch.setattr(LibreOfficeTask, "vocabularies", NUMBERS.vocabularies)
    return corpus


def course(task=NUMBERS, schedule=SHORT, seed=0, smoothing=0.1, warm_up=0):
    return TranslationCourse(Translation(task, smoothing, warm_up), schedule, seed, eager=True)


def experiment(task=NUMBERS, warm_up=0, **changes):
    translated = Translation(task, warm_up=warm_up)
    return dataclasses.replace(Experiment("tiny", SMALL, translated, Adam(1e-2, beta2=0.98), SHORT, seed=2), **changes)


def sentences(batch, vocabularies=NUMBERS.vocabularies):
    """The targets of a batch as words; empty sentences left out."""
    found = [vocabularies[1].decode(column) for column in batch.target_out.T[: batch.target_out.shape[1]]]
    return [words for words, asked in zip(found, batch.target_mask.any(0), strict=True) if asked]


# --- what is drawn ---


def test_every_pair_of_a_corpus_is_learned_from_once_an_epoch(small_corpus):
    own = course(LibreOfficeTask(), dataclasses.replace(SHORT, batch=4))
    rng = np.random.default_rng(0)
    epochs = [[words for _ in range(4) for words in sentences(own.draw(rng))] for _ in range(2)]
    for words in epochs:
        assert collections.Counter(words) == collections.Counter(pair.target for pair in small_corpus.train)
    assert epochs[0] != epochs[1]


def test_tasks_that_draw_learn_from_their_training_split_alone(monkeypatch):
    asked = []
    pairs = NumberTask.pairs
    monkeypatch.setattr(NumberTask, "pairs", lambda self, rng, split, count: asked.append((split, count)) or pairs(self, rng, split, count))
    own = course()
    own.draw(np.random.default_rng(0))
    assert asked == [("validation", 6), ("train", 3)]


def test_the_rate_falls_linearly_to_its_twentieth():
    own, rng = course(schedule=dataclasses.replace(SHORT, updates=40)), np.random.default_rng(0)
    paces = []
    for _ in range(40):
        paces.append(own.pace)
        own.draw(rng)
    np.testing.assert_allclose(paces, np.maximum(1 - np.arange(40) / 40, SLOWEST))
    assert own.pace == SLOWEST


@pytest.mark.parametrize(("d", "w", "factor"), [(512, 4000, 1.0), (128, 50, 2.0)])
def test_noams_schedule_is_the_papers(d, w, factor):
    """factor · d^-0.5 · min(n^-0.5, n · w^-1.5) (Vaswani et al. 2017, eq. 3), highest at the end of the warm-up."""
    lr, updates = factor / (d * w) ** 0.5, np.arange(1, 3 * w)
    rates = lr * np.array([noam(int(update), w) for update in updates])
    np.testing.assert_allclose(rates, factor * d**-0.5 * np.minimum(updates**-0.5, updates * w**-1.5), rtol=1e-12)
    assert updates[rates.argmax()] == w
    assert noam(w, w) == 1


def test_a_course_with_a_warm_up_follows_noams_schedule():
    own, rng = course(warm_up=3), np.random.default_rng(0)
    paces = []
    for _ in range(7):
        own.draw(rng)
        paces.append(own.pace)
    np.testing.assert_allclose(paces, [1 / 3, 2 / 3, 1, *(np.sqrt(3 / np.arange(4, 8)))])
    assert own.report()["pace"] == paces[-1]


@pytest.mark.parametrize("warm_up", [-1, 2.0, True])
def test_a_warm_up_is_a_number_of_updates(warm_up):
    with pytest.raises(ValueError, match="warm_up is a whole number of updates, at least 0, got"):
        Translation(NUMBERS, warm_up=warm_up)


@pytest.mark.parametrize("warm_up", [0, 40])
def test_a_warm_up_is_written_down_only_if_there_is_one(warm_up):
    """So runs from before it could be chosen are still the same runs."""
    translated = Translation(NUMBERS, warm_up=warm_up)
    assert to_plain(translated).get("warm_up", 0) == warm_up
    assert ("warm_up" in to_plain(translated)) == (warm_up > 0)
    assert from_plain(to_plain(translated)) == translated


def test_bits_per_word_of_a_model_that_knows_nothing():
    model = SMALL.build(np.random.default_rng(0), "float64")
    model.out.W.data = np.zeros_like(model.out.W.data)
    batch = course().draw(np.random.default_rng(0))
    assert bits_per_word(model, batch).item() == pytest.approx(np.log2(WORDS[1]))
    model.out.b.data = np.arange(WORDS[1]) / 10
    assert bits_per_word(model, batch, 0.1).item() != pytest.approx(bits_per_word(model, batch).item())


def test_bleu_is_reported_once_it_was_measured_and_is_that_of_the_held_out_pairs():
    own, model = course(), SMALL.build(np.random.default_rng(0))
    assert own.report() == {"pace": 1.0}
    model.out.b.data = np.where(np.arange(WORDS[1]) == 4, 5.0, model.out.b.data).astype("float32")
    own.validate(model)
    found = translations(Search(model, eager=True), [pair.source for pair in own.pairs], NUMBERS.vocabularies)
    assert own.report()["bleu"] == bleu([words for words, _ in found], [pair.target for pair in own.pairs]).score


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_labels_can_be_smoothed_only_so_far(smoothing):
    with pytest.raises(ValueError, match="smoothing must be in 0"):
        Translation(NUMBERS, smoothing)


# --- a run ---


@pytest.mark.parametrize(
    ("config", "corpus", "warm_up"),
    [(SMALL, False, 0), (SMALL, True, 0), (TRANSFORMER, True, 5)],
    ids=["numbers", "corpus", "transformer, corpus"],
)
def test_an_interrupted_run_ends_in_the_state_of_an_uninterrupted_one(tmp_path, monkeypatch, config, corpus, warm_up, request):
    """With dropout, in the middle of an epoch and of the warm-up."""
    task = NUMBERS
    if corpus:
        request.getfixturevalue("small_corpus")
        task = LibreOfficeTask()
    run = experiment(task, warm_up, model=config)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_experiment(run, whole, progress=False)
    drawn, draw = [0], TranslationCourse.draw

    def interrupting(self, rng):
        drawn[0] += 1
        if drawn[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(self, rng)

    monkeypatch.setattr(TranslationCourse, "draw", interrupting)
    with pytest.raises(Stopped, match="stopped at update 3 of 7"):
        run_experiment(run, parts, progress=False)
    run_experiment(run, parts, progress=False)
    assert everything(parts) == everything(whole)


def test_a_short_training_learns_the_names_of_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(translation, "VALIDATED", 64)
    config = TranslatorConfig(*WORDS, embedding=16, hidden=32, encoder_hidden=16)
    schedule = Schedule(160, batch=32, log_every=40, validate_every=40, checkpoint_every=160, clip=1.0, clip_by="norm")
    task = NumberTask(shortest=3, longest=4)
    log = run_experiment(experiment(task, model=config, optimiser=Adam(1e-2), schedule=schedule), tmp_path, progress=False)
    assert log[-1]["validation"] < 0.4 * log[0]["validation"]
    assert log[-1]["bleu"] > log[0]["bleu"]
    model, _, note = load_trained(tmp_path / BEST)
    pairs = task.pairs(np.random.default_rng(1), "test", 50)
    found = translations(Search(model), [pair.source for pair in pairs], task.vocabularies)
    assert np.mean([words == pair.target for (words, _), pair in zip(found, pairs, strict=True)]) > 0.6
    assert note["validation"] == min(line["validation"] for line in log)


# --- what is read off a model ---


@both_models
def test_translations_come_in_order_whatever_their_length_and_their_attention_has_no_padding(config):
    model = config.build(np.random.default_rng(0), "float64")
    sources = [pair.source for pair in NUMBERS.pairs(np.random.default_rng(0), "test", 11)]
    search = Search(model, eager=True)
    found = translations(search, sources, NUMBERS.vocabularies, size=4)
    assert len({len(source) for source in sources}) > 1
    for source, (words, sentence) in zip(sources, found, strict=True):
        ((alone, own),) = translations(search, [source], NUMBERS.vocabularies, size=1)
        length = min(len(sentence.numbers), len(own.numbers))  # a sentence beside longer ones may be cut off later
        assert sentence.numbers[:length] == own.numbers[:length]
        assert sentence.weights.shape == (len(sentence.numbers), len(source) + 1)
        np.testing.assert_allclose(sentence.weights.sum(1), 1, rtol=1e-6)
        assert words[: len(alone)] == alone


@both_models
def test_forced_attention_is_that_of_the_search_where_both_write_the_same(config):
    model = config.build(np.random.default_rng(0), "float64")
    sources = [pair.source for pair in NUMBERS.pairs(np.random.default_rng(0), "test", 9)]
    written = translations(Search(model, eager=True), sources, NUMBERS.vocabularies, size=4)
    pairs = [dataclasses.replace(number_pair(1), source=source, target=words or ("un",), links=None)
             for source, (words, _) in zip(sources, written, strict=True)]  # fmt: skip
    forced = forced_attention(model, pairs, NUMBERS.vocabularies, size=4)
    for pair, weights, (words, sentence) in zip(pairs, forced, written, strict=True):
        assert weights.shape == (len(pair.target) + 1, len(pair.source) + 1)
        rows = min(len(words), len(pair.target))
        np.testing.assert_allclose(weights[:rows], sentence.weights[:rows], rtol=1e-6)


def test_dates_are_a_task_too():
    task = DateTask(1990, 1999)
    own = course(task)
    assert own.vocabularies == task.vocabularies
    assert np.isfinite(own.validate(TranslatorConfig(*map(len, task.vocabularies), embedding=4, hidden=4).build(np.random.default_rng(0))))
