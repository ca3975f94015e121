"""Readable names for the sites of a decoder-only transformer, read off the model's own modules.

One resolution serves every family. A decoder is a list of equal blocks, each with an attention and
an MLP; the attention ends in an output projection, the MLP in a down projection. Where a block
normalises what its attention and its MLP return *before* adding it to the residual stream (Gemma),
the addend is the norm's output. Families differ only in what they call these parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from axonal.activations.site import Site, check_module
from axonal.errors import InputError

_ATTENTION = ("self_attn", "self_attention", "attention", "attn")
_MLP = ("mlp", "feed_forward", "ffn")
_OUTPUT_PROJECTION = ("o_proj", "out_proj", "c_proj", "dense", "wo")
_DOWN_PROJECTION = ("down_proj", "c_proj", "dense_4h_to_h", "fc2", "fc_out", "w2")
_NORM_AFTER_MLP = ("post_feedforward_layernorm", "post_mlp_layernorm")
_NORM_AFTER_ATTENTION = ("post_self_attn_layernorm", "post_attention_layernorm")
_FINAL_NORM = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


@dataclass(frozen=True)
class Layout:
    """Paths of a decoder's parts; those of a block are relative to the block.

    Parameters
    ----------
    blocks
        The list of blocks.
    attention, mlp
        The modules; ``attention_addend`` and ``mlp_addend`` are the modules whose output is added
        to the residual stream, which are the same unless a norm follows.
    output_projection, down_projection
        The last linear maps of attention and MLP; None where there is no single one (experts).
    embedding, final_norm
        What comes before and after the blocks.
    """

    blocks: str
    attention: str
    attention_addend: str
    output_projection: str
    mlp: str
    mlp_addend: str
    down_projection: str | None
    embedding: str
    final_norm: str | None


@dataclass(frozen=True)
class Sites:
    """The named sites of one model; make them with ``Sites.of``.

    Parameters
    ----------
    blocks
        How many blocks the decoder has.
    heads_per_block
        Query heads of each attention.
    layout
        Where the parts of the decoder are.
    """

    blocks: int
    heads_per_block: int
    layout: Layout

    @classmethod
    def of(cls, model: nn.Module) -> Sites:
        """Find the sites of a transformer; raise an ``InputError`` for a model that is none."""
        check_module(model)
        path, blocks = _find_blocks(model)
        block = blocks[0]
        attention, mlp = _child(block, _ATTENTION), _child(block, _MLP)
        output = _child(block.get_submodule(attention), _OUTPUT_PROJECTION)
        down = _child(block.get_submodule(mlp), _DOWN_PROJECTION)
        after_mlp = _child(block, _NORM_AFTER_MLP)
        # Llama calls the norm *before* its MLP "post_attention_layernorm", so the name means the
        # norm of an addend only where the MLP has one too.
        after_attention = _child(block, _NORM_AFTER_ATTENTION) if after_mlp else ""
        decoder = path.rpartition(".")[0]
        norm = _child(model.get_submodule(decoder), _FINAL_NORM)
        layout = Layout(
            blocks=path,
            attention=attention,
            attention_addend=after_attention or attention,
            output_projection=_join(attention, output),
            mlp=mlp,
            mlp_addend=after_mlp or mlp,
            down_projection=_join(mlp, down) if down else None,
            embedding=_embedding_path(model),
            final_norm=_join(decoder, norm) if norm else None,
        )
        return cls(len(blocks), _text_config(model).num_attention_heads, layout)

    def embedding(self) -> Site:
        """Return the token embedding's output (in GPT-2 without the position embedding)."""
        return Site(self.layout.embedding)

    def residual_pre(self, block: int) -> Site:
        """Return the residual stream that enters a block."""
        return Site(self._in_block(block), "input")

    def residual(self, block: int) -> Site:
        """Return the residual stream that leaves a block."""
        return Site(self._in_block(block))

    def attention(self, block: int) -> Site:
        """Return what the attention of a block adds to the residual stream."""
        return Site(self._in_block(block, self.layout.attention_addend))

    def mlp(self, block: int) -> Site:
        """Return what the MLP of a block adds to the residual stream."""
        return Site(self._in_block(block, self.layout.mlp_addend))

    def heads(self, block: int) -> Site:
        """Return the input of the attention's output projection: ``(..., heads, head_dim)``."""
        path = self._in_block(block, self.layout.output_projection)
        return Site(path, "input", heads=self.heads_per_block)

    def head(self, block: int, head: int) -> Site:
        """Return one head's input to the attention's output projection: ``(..., head_dim)``."""
        path = self._in_block(block, self.layout.output_projection)
        return Site(path, "input", heads=self.heads_per_block, head=head)

    def neurons(self, block: int) -> Site:
        """Return the input of the MLP's down projection: the activations of its hidden units."""
        if self.layout.down_projection is None:
            raise InputError(
                f"{self._in_block(block, self.layout.mlp)} has no single down projection (experts?): "
                "name the site by its module path, Site('path', 'input')."
            )
        return Site(self._in_block(block, self.layout.down_projection), "input")

    def final_norm(self) -> Site:
        """Return the output of the norm before the unembedding."""
        if self.layout.final_norm is None:
            raise InputError("This model has no final norm: name the site by its module path.")
        return Site(self.layout.final_norm)

    def _in_block(self, block: int, part: str = "") -> str:
        if not 0 <= block < self.blocks:
            raise InputError(
                f"There is no block {block}: this model has blocks 0 to {self.blocks - 1}."
            )
        return _join(f"{self.layout.blocks}.{block}", part)


def _find_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Find the decoder's blocks: a list as long as the text configuration says."""
    depth = getattr(_text_config(model), "num_hidden_layers", None)
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            attention, mlp = _child(module[0], _ATTENTION), _child(module[0], _MLP)
            inside = module[0].get_submodule(attention)
            if attention and mlp and _child(inside, _OUTPUT_PROJECTION):
                return path, module
    paths = [path for path, _ in model.named_modules() if path] or [""]
    raise InputError(
        f"{type(model).__name__} has no list of blocks with an attention and an MLP, so its sites "
        f"have no readable names. Name them by module path: Site({paths[0]!r}) is an output, "
        f"Site({paths[-1]!r}, 'input') an input; {len(paths)} paths, such as "
        f"{', '.join(paths[:: max(1, len(paths) // 5)][:5])}, are listed by model.named_modules()."
    )


def _text_config(model: nn.Module) -> Any:
    config: Any = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _child(module: nn.Module, names: tuple[str, ...]) -> str:
    children = {name for name, _ in module.named_children()}
    return next((name for name in names if name in children), "")


def _embedding_path(model: Any) -> str:
    embedding = model.get_input_embeddings()
    return next(path for path, module in model.named_modules() if module is embedding)


def _join(parent: str, child: str) -> str:
    return f"{parent}.{child}" if parent and child else parent or child
