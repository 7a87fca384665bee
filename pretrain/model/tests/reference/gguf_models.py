"""Makes the fixtures of `tests/gguf.rs`: tiny random Llamas in GGUF files, and their logits by transformers.

Run from this folder: `python gguf_models.py`. Made with gguf 0.19.0, transformers 5.24.0 and torch 2.15.0 on CPU.

`gguf/NAME.gguf` holds the weights in the type that its name says, the rows of queries and keys in the order that
`LlamaModel.permute` of llama.cpp gives them. `mixed.gguf` has a type a layer and matrix; gguf does not quantize to those of
super-blocks (`Q2_K` to `Q6_K`), so their bytes are drawn. `gguf/expected.json` holds for each file the logits that
`AutoModelForCausalLM.from_pretrained(gguf_file=…)` gives behind every token of `TOKENS`, for every `EVERY`th id.
`vocabulary.gguf` also holds a vocabulary: bytes, merges learnt from `TEXT`, and special tokens.
"""

import json
from pathlib import Path

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, quantize
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent / "gguf"
TOKENS = [3, 17, 5, 5, 40, 8, 21, 3, 9, 30, 2, 12, 39]
EVERY = 4
HEADS, KV_HEADS, HEAD_DIM = 4, 2, 8
HIDDEN = HEADS * HEAD_DIM
TEXT = "The river was quiet in 1987, and the stone was older than the river. " * 3 + "It's what they've said; we'll see 42 times."
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
T = GGMLQuantizationType


def permute(weights, heads):
    """As `LlamaModel.permute` in `convert_hf_to_gguf.py`."""
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weights.shape)


def super_blocks(generator, shape, kind):
    """Random bytes as such numbers, with scales that keep the numbers small."""
    values, size = GGML_QUANT_SIZES[kind]
    blocks = generator.integers(0, 256, (shape[0], shape[1] // values, size), dtype=np.uint8)
    scale = np.frombuffer(np.float16(0.004 if kind in (T.Q3_K, T.Q6_K) else 0.002).tobytes(), dtype=np.uint8)
    scales = {T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}[kind]
    for at in scales:
        blocks[..., at : at + 2] = scale
    return blocks.reshape(shape[0], -1)


def write(name, types, layers, vocab, inner, tied=False, vocabulary=None):
    """`types` gives the type of each layer's matrices; the first is that of the embedding too."""
    generator = np.random.default_rng(len(name))
    writer = GGUFWriter(HERE / f"{name}.gguf", "llama")
    writer.add_context_length(96)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500.0)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_vocab_size(vocab)
    if vocabulary:
        add_vocabulary(writer, vocabulary)

    def matrix(name, rows, columns, kind, heads=None):
        values = generator.normal(0.0, 0.2, (rows, columns)).astype(np.float32)
        if heads:
            values = permute(values, heads)
        stored = super_blocks(generator, (rows, columns), kind) if kind.name.endswith("_K") else quantize(values, kind)
        writer.add_tensor(name, stored, raw_dtype=kind)

    def norm(name):
        writer.add_tensor(name, generator.uniform(0.5, 1.5, HIDDEN).astype(np.float32))

    matrix("token_embd.weight", vocab, HIDDEN, types[0][0])
    for layer in range(layers):
        gate, up, down, attention = types[layer]
        part = lambda name: f"blk.{layer}.{name}.weight"
        norm(part("attn_norm"))
        matrix(part("attn_q"), HIDDEN, HIDDEN, attention, HEADS)
        matrix(part("attn_k"), KV_HEADS * HEAD_DIM, HIDDEN, attention, KV_HEADS)
        matrix(part("attn_v"), KV_HEADS * HEAD_DIM, HIDDEN, attention)
        matrix(part("attn_output"), HIDDEN, HIDDEN, attention)
        norm(part("ffn_norm"))
        matrix(part("ffn_gate"), inner, HIDDEN, gate)
        matrix(part("ffn_up"), inner, HIDDEN, up)
        matrix(part("ffn_down"), HIDDEN, inner, down)
    norm("output_norm.weight")
    if not tied:
        matrix("output.weight", vocab, HIDDEN, types[0][0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def learn_vocabulary():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=285, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False)
    )
    return json.loads(tokenizer.to_str())["model"]


def add_vocabulary(writer, model):
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens + ["[PAD]"])
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens] + [5])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def logits(name):
    model = AutoModelForCausalLM.from_pretrained(HERE, gguf_file=f"{name}.gguf", dtype=torch.float32).eval()
    with torch.no_grad():
        rows = model(torch.tensor([TOKENS])).logits[0, :, ::EVERY]
    return {"tokens": TOKENS, "every": EVERY, "logits": [[round(value, 7) for value in row] for row in rows.tolist()]}


def main():
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    for kind in [T.F32, T.F16, T.BF16, T.Q8_0, T.Q4_1]:
        write(kind.name.lower(), [[kind] * 4] * 2, layers=2 if kind.name.startswith("Q") else 1, vocab=41, inner=32, tied=kind is T.Q4_1)
    kinds = [T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K]
    mixed = [[T.Q4_0, T.Q5_0 if kind.value % 2 else T.Q5_1, kind, T.Q8_0] for kind in kinds]
    write("mixed", mixed, layers=len(mixed), vocab=41, inner=256)
    model = learn_vocabulary()
    write("vocabulary", [[T.Q8_0] * 4] * 2, 2, len(model["vocab"]) + 1, 32, tied=True, vocabulary=model)
    names = sorted(path.stem for path in HERE.glob("*.gguf"))
    (HERE / "expected.json").write_text(json.dumps({name: logits(name) for name in names}))


if __name__ == "__main__":
    main()
