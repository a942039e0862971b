"""Text to the token ids that a model folder's tokenizer and limits give it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_service.errors import ArtifactError, shown

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LONGEST = 512
_UNKNOWN = ("[UNK]", "<unk>")


class Tokenising:
    """What sentence-transformers would feed the model, without padding."""

    def __init__(self, model_dir: Path) -> None:
        """Read the tokenizer of ``model_dir``; ``ArtifactError`` when it does not load."""
        self._prompt = _default_prompt(model_dir)
        self._tokenizer = _tokenizer(model_dir)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, cut at the model's limit."""
        prompted = [self._prompt + text for text in texts]
        return [each.ids for each in self._tokenizer.encode_batch_fast(prompted)]

    def unread(self, texts: Sequence[str]) -> list[float]:
        """The share of each text's own tokens that stand for unknown words; 0 without any."""
        unknown = {self._tokenizer.token_to_id(name) for name in _UNKNOWN}
        found = []
        for each in self._tokenizer.encode_batch_fast(list(texts)):
            marks = zip(each.ids, each.special_tokens_mask, strict=True)
            own = [token in unknown for token, is_added in marks if not is_added]
            found.append(sum(own) / len(own) if own else 0.0)
        return found

    def words(self) -> list[str]:
        """The pieces of text that the tokenizer knows as a token of their own."""
        return sorted(self._tokenizer.get_vocab())


def _tokenizer(model_dir: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = model_dir / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        message = f"{path}: the tokenizer does not load ({shown(str(error))})"
        raise ArtifactError(message, hint="copy the base model again") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(_longest(model_dir))
    return tokenizer


def _longest(model_dir: Path) -> int:
    """The token limit of sentence-transformers: its own file first, then the tokenizer's."""
    own = _config(model_dir, "sentence_bert_config.json").get("max_seq_length")
    limit = own or _config(model_dir, "tokenizer_config.json").get("model_max_length")
    positions = _config(model_dir, "config.json").get("max_position_embeddings")
    return int(min(limit or _LONGEST, positions or _LONGEST))


def _default_prompt(model_dir: Path) -> str:
    config = _config(model_dir, "config_sentence_transformers.json")
    prompts = config.get("prompts")
    name = config.get("default_prompt_name")
    return str(prompts.get(name) or "") if isinstance(prompts, dict) and name else ""


def _config(model_dir: Path, name: str) -> dict[str, Any]:
    """A JSON object of the model folder, empty when the model has no such file."""
    path = model_dir / name
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        message = f"{path}: unreadable ({shown(str(error))})"
        raise ArtifactError(message, hint="copy the base model again") from error
    return found if isinstance(found, dict) else {}
