"""Model folders for tests: a tiny transformer made on the spot, and the real MiniLM."""

from pathlib import Path

from training_service.adapters.encoders.loading import EncoderLoader
from training_service.adapters.model_sources import ModelSources
from training_service.domain.model import EncoderChoice
from training_service.fit.model_manager import ModelManager

SAMPLE = (
    "Software Engineer",
    "registered nurse, night shift",
    "Chief Executive",
    "Forklift operator and warehouse worker in a cold store",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def served_model(name: str, target: Path, export_cache: Path | None) -> EncoderChoice:
    """Copy the model ``name`` to ``target``, with its checked ONNX export."""
    manager = ModelManager(ModelSources(), EncoderLoader(), export_cache)
    base = manager.copy_base_model(name, target)
    return manager.ensure_fast(target, base, SAMPLE)


def tiny_transformer(folder: Path) -> Path:
    """Save a sentence-transformers model of one layer, 16 dimensions and random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [*_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    plain = folder / "plain"
    plain.mkdir(parents=True)
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    tokenizer.save_pretrained(plain)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=48,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(plain)
    layers = [Transformer(str(plain), max_seq_length=24), Pooling(16), Normalize()]
    SentenceTransformer(modules=layers, device="cpu").save(str(folder / "model"))
    return folder / "model"
