"""Readable names for the sites of a decoder-only transformer, read off the model's own modules.

One resolution serves every family. A decoder is a list of equal blocks, each with an attention and
an MLP; the attention ends in an output projection, the MLP in a down projection. Where a block
normalises what its attention and MLP return *before* adding it to the residual stream (Gemma), the
addend is the norm's output. What differs between families is only what these parts are called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from axonal.activations.site import Site, check_model
from axonal.errors import InputError

_ATTENTION = ("self_attn", "self_attention", "attention", "attn")
_MLP = ("mlp", "feed_forward", "ffn")
_OUTPUT_PROJECTION = ("o_proj", "out_proj", "c_proj", "dense", "wo")
_DOWN_PROJECTION = ("down_proj", "c_proj", "dense_4h_to_h", "fc2", "fc_out", "w2")
_NORM_AFTER_MLP = ("post_feedforward_layernorm", "post_mlp_layernorm")
_NORM_AFTER_ATTENTION = ("post_self_attn_layernorm", "post_attention_layernorm")
_FINAL_NORM = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


@dataclass(frozen=True)
class Sites:
    """The named sites of one model.

    Parameters
    ----------
    blocks
        How many blocks the decoder has.
    heads_per_block
        Query heads of each attention.
    """

    blocks: int
    heads_per_block: int
    _list: str
    _attention: str
    _attention_addend: str
    _output_projection: str
    _mlp: str | None
    _mlp_addend: str | None
    _down_projection: str | None
    _embedding: str
    _final_norm: str | None

    @classmethod
    def of(cls, model: nn.Module) -> Sites:
        """Find the sites of a transformer; raise an ``InputError`` for a model that is none."""
        check_model(model)
        path, blocks = _find_blocks(model)
        block = blocks[0]
        attention, mlp = _child(block, _ATTENTION), _child(block, _MLP)
        assert attention is not None
        output = _child(block.get_submodule(attention), _OUTPUT_PROJECTION)
        down = _child(block.get_submodule(mlp), _DOWN_PROJECTION) if mlp else None
        after_mlp = _child(block, _NORM_AFTER_MLP)
        # Llama calls the norm before its MLP "post_attention_layernorm": the name means the norm of
        # an addend only where the MLP has one too.
        after_attention = _child(block, _NORM_AFTER_ATTENTION) if after_mlp else None
        decoder_path = path.rpartition(".")[0]
        decoder = model.get_submodule(decoder_path)
        norm = _child(decoder, _FINAL_NORM)
        return cls(
            blocks=len(blocks),
            heads_per_block=_text_config(model).num_attention_heads,
            _list=path,
            _attention=attention,
            _attention_addend=after_attention or attention,
            _output_projection=f"{attention}.{output}",
            _mlp=mlp,
            _mlp_addend=after_mlp or mlp,
            _down_projection=f"{mlp}.{down}" if down else None,
            _embedding=_path_of(model, _input_embedding(model)),
            _final_norm=_join(decoder_path, norm) if norm else None,
        )

    def embedding(self) -> Site:
        """Return the token embedding's output (in GPT-2 without the position embedding)."""
        return Site(self._embedding)

    def residual_pre(self, block: int) -> Site:
        """Return the residual stream that enters a block."""
        return Site(self._block(block), "input")

    def residual(self, block: int) -> Site:
        """Return the residual stream that leaves a block."""
        return Site(self._block(block))

    def attention(self, block: int) -> Site:
        """Return what the attention of a block adds to the residual stream."""
        return Site(f"{self._block(block)}.{self._attention_addend}")

    def mlp(self, block: int) -> Site:
        """Return what the MLP of a block adds to the residual stream."""
        return Site(f"{self._block(block)}.{self._mlp_addend}")

    def heads(self, block: int) -> Site:
        """Return the inputs of the attention's output projection: ``(..., heads, head_dim)``."""
        path = f"{self._block(block)}.{self._output_projection}"
        return Site(path, "input", heads=self.heads_per_block)

    def head(self, block: int, head: int) -> Site:
        """Return one head's input to the attention's output projection: ``(..., head_dim)``."""
        path = f"{self._block(block)}.{self._output_projection}"
        return Site(path, "input", heads=self.heads_per_block, head=head)

    def neurons(self, block: int) -> Site:
        """Return the input of the MLP's down projection: the activations of its hidden units."""
        if self._down_projection is None:
            raise InputError(
                f"The MLP of {self._block(block)} has no single down projection (experts?): name "
                "the site by its module path, Site('path', 'input')."
            )
        return Site(f"{self._block(block)}.{self._down_projection}", "input")

    def final_norm(self) -> Site:
        """Return the output of the norm before the unembedding."""
        if self._final_norm is None:
            raise InputError("This model has no final norm: name the site by its module path.")
        return Site(self._final_norm)

    def _block(self, block: int) -> str:
        if not 0 <= block < self.blocks:
            raise InputError(
                f"There is no block {block}: this model has blocks 0 to {self.blocks - 1}."
            )
        return f"{self._list}.{block}"


def _find_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Find the list of blocks; of several (a vision tower beside the text) the decoder's."""
    config = _text_config(model)
    depth = getattr(config, "num_hidden_layers", None)
    for path, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or len(module) != depth:
            continue
        attention = _child(module[0], _ATTENTION)
        if attention and _child(module[0].get_submodule(attention), _OUTPUT_PROJECTION):
            return path, module
    paths = [path for path, _ in model.named_modules() if path]
    shown = ", ".join(paths[: max(1, min(5, len(paths)))]) or "no submodule"
    raise InputError(
        f"{type(model).__name__} has no list of attention blocks from which sites could be named: "
        f"name them by module path, e.g. Site({paths[0] if paths else ''!r}) or "
        f"Site({paths[0] if paths else ''!r}, 'input'). Its paths begin with {shown}."
    )


def _text_config(model: nn.Module) -> Any:
    config: Any = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _child(module: nn.Module, names: tuple[str, ...]) -> str | None:
    children = dict(module.named_children())
    return next((name for name in names if name in children), None)


def _input_embedding(model: nn.Module) -> nn.Module:
    embedding: nn.Module = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    return embedding


def _path_of(model: nn.Module, wanted: nn.Module) -> str:
    return next(path for path, module in model.named_modules() if module is wanted)


def _join(parent: str, child: str) -> str:
    return f"{parent}.{child}" if parent else child
