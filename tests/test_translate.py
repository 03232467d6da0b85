"""`tinymem translate`: what is printed and saved, unknown words, and one clear line for each sentence that cannot be translated."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinymem import cli, translate
from tinymem.lesson import Run, UsageError
from tinymem.models.transformer import TransformerConfig
from tinymem.models.translator import TranslatorConfig
from tinymem.tasks.translation.libreoffice import LibreOfficeTask, libreoffice
from tinymem.tasks.translation.words import END, tokenise
from tinymem.training.checkpoints import CheckpointError
from tinymem.training.experiment import Experiment
from tinymem.training.heads import HeadWeights
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam
from tinymem.training.translation import Translation

TASK = LibreOfficeTask()
SENTENCE = "do you want to save the changes now ?"


def reader(score="additive", says=None):
    """An untrained translator; with `says` it writes that word until it is cut off."""
    config = TranslatorConfig(*map(len, TASK.vocabularies), score, embedding=4, hidden=4, encoder_hidden=2)
    model = config.build(np.random.default_rng(0))
    if says is not None:
        number = END if says == "<end>" else TASK.vocabularies[1].encode([says])[0]
        model.out.b.data = np.where(np.arange(config.target_words) == number, 50, 0).astype("float32")
    experiment = Experiment("libreoffice", config, Translation(TASK), Adam(), Schedule(1))
    return Run(experiment, model, [{"bleu": 12.34}], 3.0)


def transformer(says=None):
    """An untrained Transformer; with `says` it writes that word until it is cut off."""
    config = TransformerConfig(*map(len, TASK.vocabularies), layers=2, width=4, heads=2, inner=4, tied=False)
    model = config.build(np.random.default_rng(0))
    if says is not None:
        number = END if says == "<end>" else TASK.vocabularies[1].encode([says])[0]
        model.out.b.data = np.where(np.arange(config.target_words) == number, 50, 0).astype("float32")
    return Run(Experiment("libreoffice-pre-norm", config, Translation(TASK), Adam(), Schedule(1)), model, [{"bleu": 12.34}], 3.0)


def test_the_matrix_has_a_row_for_each_written_and_a_column_for_each_read_word():
    said = translate.translate(SENTENCE, reader(says="le"))
    assert said.source == tuple(SENTENCE.split())
    assert set(said.words) == {"le"}
    assert said.written == said.words  # it was cut off, so no <end>
    assert said.sentence.weights.shape == (len(said.words), len(said.read))
    lines = str(said).splitlines()
    assert f"translation:  {' '.join(said.words)}" in lines
    assert lines[0] == f"sentence:     {SENTENCE}"
    assert "trained on 11358 sentences of LibreOffice; BLEU 12.3 in validation" in lines[1]
    head = next(place for place, line in enumerate(lines) if line.split() == list(said.read))
    for line, weights in zip(lines[head + 1 :], said.sentence.weights, strict=False):
        word, *cells = line.split()
        assert word == "le"
        assert cells == [f"{100 * weight:.0f}" if weight >= 0.05 else "·" for weight in weights]
        assert len(line) == len(lines[head])
    assert len(lines) == head + 1 + len(said.words)
    assert "beware" not in str(said)


def test_a_translation_that_ends_at_once_says_so():
    said = translate.translate(SENTENCE, reader(says="<end>"))
    assert said.words == ()
    assert said.written == ("<end>",)
    assert "translation:  (no word)" in str(said)


def test_what_is_typed_falls_into_words_as_the_corpus_writes_them():
    typed = "Don't save the file!"
    assert translate.translate(typed, reader()).source == tokenise(typed)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            "do you want to save the giraffe now ?",
            "this word is unknown, and read as <unknown>, of which the model has learned nothing: giraffe",
        ),
        ("a giraffe and a zebra saves the document .", "these words are unknown, and read as <unknown>"),
        ("save", "sentences of at least 3 words"),
    ],
)
def test_unknown_words_and_short_sentences_are_named(typed, told):
    said = translate.translate(typed, reader())
    (warning,) = said.warnings
    assert told in warning
    assert f"beware:       {warning}" in str(said).splitlines()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "the sentence is empty; give one as in"),
        (" \n ", "the sentence is empty"),
        ("zebra giraffe", "no word of the sentence is among the 1337 that the model knows, those of an office program"),
        ("the " * 17, "the sentence has 17 words, punctuation marks counted, and the model was trained on 3 to 16; write a shorter one"),
    ],
)
def test_what_cannot_be_translated_is_said_in_one_line(typed, message, capsys):
    with pytest.raises(UsageError, match=message):
        translate.translate(typed, reader())
    assert cli.main(["translate", typed]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not captured.out


def test_the_longest_sentences_of_the_training_are_translated():
    longest = max((pair.source for pair in libreoffice().train), key=len)
    assert len(longest) == 16
    assert translate.translate(" ".join(longest), reader()).source == longest


def test_a_beam_keeps_at_least_one_sentence(capsys):
    assert cli.main(["translate", SENTENCE, "--beam", "0"]) == 2
    assert "at least one sentence, got 0" in capsys.readouterr().err


def test_the_command_prints_and_saves_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(translate, "trained", lambda kind: reader(says="<end>"))
    monkeypatch.setattr("sys.stdin", io.StringIO(SENTENCE))
    picture = tmp_path / "new" / "matrix.png"
    assert cli.main(["translate", "-", "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert f"sentence:     {SENTENCE}" in out
    assert out.endswith(f"picture: {picture}\n")
    assert picture.stat().st_size > 5000 < picture.with_suffix(".svg").stat().st_size


def test_a_picture_of_another_kind_is_refused(tmp_path, capsys):
    assert cli.main(["translate", SENTENCE, "--picture", str(tmp_path / "matrix.gif")]) == 2
    assert "give a file that ends in .png" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_a_shipped_model_it_says_how_to_train_one(tmp_path, monkeypatch):
    monkeypatch.setattr(translate, "shipped_in", lambda name: tmp_path / name)
    with pytest.raises(CheckpointError, match=r"no translator of LibreOffice with attention.*tinymem lesson translation --train"):
        translate.translate(SENTENCE)
    with pytest.raises(CheckpointError, match=r"no Transformer.*tinymem lesson transformer --train"):
        translate.translate(SENTENCE, kind="transformer")


# --- the heads of a Transformer ---


def test_a_transformer_shows_every_head_of_what_it_wrote():
    said = translate.translate(SENTENCE, transformer(says="le"))
    read, written = len(said.read), len(said.words) + 1  # with <end> in both
    assert said.sentence.weights.shape == (len(said.written), read)
    assert said.heads.encoder.shape == (2, 2, read, read)
    assert said.heads.decoder.shape == (2, 2, written, written)
    assert said.heads.cross.shape == (2, 2, written, read)
    np.testing.assert_allclose(said.heads.cross[-1].mean(0)[: len(said.written)], said.sentence.weights, atol=1e-6)
    short = translate.Translated(said.source, said.words[:1], said.sentence, "", (), HeadWeights(
        said.heads.encoder, said.heads.decoder[:, :, :2, :2], said.heads.cross[:, :, :2]))  # fmt: skip
    panels = short.heads_figure.axes
    assert len(panels) == 3 * 2 * 2  # kinds, layers, heads
    assert [panel.get_title() for panel in panels[::4]] == [f"{kind}, layer 1, head 1" for kind in ("encoder", "decoder", "cross")]
    columns = [[text.get_text() for text in panel.texts] for panel in panels[::4]]
    assert columns == [[*said.read, *said.read], ["<begin>", "le"] * 2, ["le", "<end>", *said.read]]


@pytest.mark.parametrize("said", [lambda: translate.translate(SENTENCE, reader(says="<end>")),
                                  lambda: translate.translate(SENTENCE, transformer(says="<end>"))])  # fmt: skip
def test_without_heads_or_a_word_there_is_nothing_to_draw(said):
    with pytest.raises(UsageError, match="the Transformer has some, once it has written a word"):
        _ = said().heads_figure


def test_the_command_saves_the_heads(tmp_path, monkeypatch, capsys):
    asked = []

    class Said:
        heads_figure = Figure(figsize=(2, 2))

        def __str__(self):
            return "said"

    monkeypatch.setattr(translate, "translate", lambda typed, **how: asked.append((typed, how)) or Said())
    heads = tmp_path / "new" / "heads.png"
    assert cli.main(["translate", SENTENCE, "--model", "transformer", "--heads", str(heads)]) == 0
    assert asked == [(SENTENCE, {"width": 1, "kind": "transformer"})]
    assert capsys.readouterr().out == f"said\n\nheads: {heads}\n"
    assert heads.exists()
    assert heads.with_suffix(".svg").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--heads", "heads.png"], "--heads heads.png: the recurrent translator has no heads; ask the other one: --model transformer"),
        (["--model", "transformer", "--heads", "heads.gif"], "--heads heads.gif: give a file that ends in .png"),
    ],
)
def test_heads_that_cannot_be_drawn_are_said_in_one_line(options, message, capsys):
    assert cli.main(["translate", SENTENCE, *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


# --- the model that the project ships ---


def test_the_shipped_model_translates_the_slides_kind_of_sentence(capsys):
    assert cli.main(["translate", SENTENCE]) == 0
    out = capsys.readouterr().out
    assert "libreoffice-additive, seed 0" in out
    (written,) = [line for line in out.splitlines() if line.startswith("translation:")]
    assert {"voulez", "enregistrer", "modifications", "?"} <= set(written.split())


def test_the_shipped_transformer_draws_its_heads(tmp_path, capsys):
    heads = tmp_path / "heads.png"
    assert cli.main(["translate", SENTENCE, "--model", "transformer", "--heads", str(heads)]) == 0
    out = capsys.readouterr().out
    assert "norm, seed 0: trained on 11358 sentences of LibreOffice" in out
    (written,) = [line for line in out.splitlines() if line.startswith("translation:")]
    assert {"enregistrer", "modifications", "?"} <= set(written.split())
    assert heads.stat().st_size > 50_000
