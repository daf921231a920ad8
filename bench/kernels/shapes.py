"""Parameter shapes of published models, by name: what their gradients look like."""

from __future__ import annotations

from collections.abc import Iterator

Shape = tuple[int, ...]
Shapes = tuple[tuple[str, Shape], ...]
"""(parameter's name, shape), in the model's order."""


def llama_3_8b() -> Shapes:
    """Llama 3 8B: Meta, "The Llama 3 Herd of Models", 2024, table 3; names as in transformers."""
    vocabulary, width, layers, key_value, feed_forward = 128_256, 4096, 32, 1024, 14_336
    layer = {
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (key_value, width),
        "self_attn.v_proj": (key_value, width),
        "self_attn.o_proj": (width, width),
        "mlp.gate_proj": (feed_forward, width),
        "mlp.up_proj": (feed_forward, width),
        "mlp.down_proj": (width, feed_forward),
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
    }
    return (
        ("embed_tokens", (vocabulary, width)),
        *((f"layers.{index}.{name}", shape) for index in range(layers) for name, shape in layer.items()),
        ("norm", (width,)),
        ("lm_head", (vocabulary, width)),
    )


def gpt(width: int, layers: int, context: int, vocabulary: int = 50_257) -> Shapes:
    """A GPT-2: Radford et al., 2019, output layer tied to the embedding; names and layouts as in transformers."""
    layer: dict[str, Shape] = {
        "ln_1.weight": (width,),
        "ln_1.bias": (width,),
        "attn.c_attn.weight": (width, 3 * width),
        "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width),
        "attn.c_proj.bias": (width,),
        "ln_2.weight": (width,),
        "ln_2.bias": (width,),
        "mlp.c_fc.weight": (width, 4 * width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (4 * width, width),
        "mlp.c_proj.bias": (width,),
    }
    return (
        ("wte", (vocabulary, width)),
        ("wpe", (context, width)),
        *((f"h.{index}.{name}", shape) for index in range(layers) for name, shape in layer.items()),
        ("ln_f.weight", (width,)),
        ("ln_f.bias", (width,)),
    )


def resnet_50() -> Shapes:
    """ResNet-50: He et al., "Deep Residual Learning", 2015, table 1; names as in torchvision."""
    return tuple(_resnet(blocks=(3, 4, 6, 3), classes=1000))


def _resnet(blocks: tuple[int, ...], classes: int) -> Iterator[tuple[str, Shape]]:
    def normalised(convolution: str, norm: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
        yield f"{convolution}.weight", shape
        yield f"{norm}.weight", shape[:1]
        yield f"{norm}.bias", shape[:1]

    yield from normalised("conv1", "bn1", (64, 3, 7, 7))
    entering = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for index in range(count):
            block = f"layer{stage + 1}.{index}"
            kernels = (width, entering, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)
            for place, shape in enumerate(kernels, start=1):
                yield from normalised(f"{block}.conv{place}", f"{block}.bn{place}", shape)
            if index == 0:
                yield from normalised(f"{block}.downsample.0", f"{block}.downsample.1", (4 * width, entering, 1, 1))
            entering = 4 * width
    yield "fc.weight", (classes, entering)
    yield "fc.bias", (classes,)


def many(count: int, elements: int) -> Shapes:
    """``count`` tensors of ``elements`` each."""
    return tuple((f"{index}", (elements,)) for index in range(count))
