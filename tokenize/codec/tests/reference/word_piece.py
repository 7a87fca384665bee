"""Trains a small WordPiece vocabulary, and encodes texts and lists of words with AutoTokenizer of transformers.

    python word_piece.py > word_piece.json

in this folder; writes the folder `word_piece` too. Offsets are turned from characters into UTF-8 bytes. Made with
transformers 5.24.0 and tokenizers 0.23.3.
"""

import json
import pathlib

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertTokenizer, GPT2Tokenizer

here = pathlib.Path(__file__).parent
sample = (here / "sample.txt").read_text(encoding="utf-8")
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train():
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    # Single characters of other scripts, so that not all of their words are unknown.
    alphabet = list("é½ⅷ٣נסיון日本語한국어नमस्ते´=<ασςυφο") + ["\u1112", "\u1161", "\u11ab"]
    tokenizer.train_from_iterator(
        [sample.split("Der Arzt")[0]],
        trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    # Neither may reach an encoding.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    folder = here / "word_piece"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str() + "\n", encoding="utf-8")
    ids = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(token + "\n" for token, _ in ids), encoding="utf-8")
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def spans(tokenizer, text):
    encoded = tokenizer(text, add_special_tokens=False, truncation=False, padding=False, return_offsets_mapping=True)
    byte = lambda char: len(text[:char].encode())
    offsets = [[byte(start), byte(end)] for start, end in encoded["offset_mapping"]]
    return {"text": text, "ids": encoded["input_ids"], "offsets": offsets}


def words(tokenizer, words):
    encoded = tokenizer(
        words, is_split_into_words=True, add_special_tokens=False, truncation=False, padding=False
    )
    return {"words": words, "ids": encoded["input_ids"], "word_idx": encoded.word_ids()}


texts = [
    "",
    " ",
    "The patient was seen in the clinic.",
    "Unaffable! It's 2024, they've said; I'LL see: don't we'd 'tis ''s",
    "a  b   c\n\n\td \u00a0 e\r\nf\u2028g\u3000h",
    "naïve café e\u0301 É ½ Ⅷ ٣٤ 日本語 한국어 नमस्ते עִבְרִית 😀 👩\u200d👩\u200d👧",
    "日本語テキスト、患者さんは元気です。医者说病人好多了，病人可以回家了。",
    "İSTANBUL ΣΊΣΥΦΟΣ ǅ ﬁ ẞ ≠ ≮ ` ´ \u1fef \u037e ẛ\u0323 o\u0302\u0323\u302e \u0344\u0323",
    "control \u0001a\u007fb\u0085c\u200bd\ufeffe\ue000f\ufffdg\u00adh \u0000\u0001 end",
    "\u0301accent first, and alone: \u0301 .\u0301 -\u0301-",
    "punctuation ¡¿«»„“”‘’‚–—…·§¶†‡•′″‹›⁂ $+<=>^`|~ ©®™°±",
    "aaaaaaaaaaaaaaaaa -------- 00000000000000 ........",
    "in" * 50 + " " + "in" * 50 + "n " + "é" * 101 + " " + "e\u0301" * 100 + " İ" + "i" * 98 + " İ" + "i" * 99,
    "fn main() { println!(\"{:?}\", values.iter().map(|v| v * 2)); }",
    *sample.split("\n\n"),
]
lists = [
    [],
    ["The", "patient", "was", "seen", "in", "the", "clinic", "."],
    ["EU", "rejects", "German", "call", "to", "boycott", "British", "lamb", "."],
    ["naïve", "café's", "", "U.S.", "-DOCSTART-", "日本語", "\u0001", "x" * 120, "1996-08-22"],
    ["'s", "don't", "New York", " led", "trailed "],
]

folder = train()
bert = AutoTokenizer.from_pretrained(folder)
assert isinstance(bert, BertTokenizer)
gpt2 = GPT2Tokenizer.from_pretrained(here / "vocabulary", add_prefix_space=True)
print(
    json.dumps(
        {
            "texts": [spans(bert, text) for text in texts],
            "words": [words(bert, list_) for list_ in lists],
            "byte_level_words": [words(gpt2, list_) for list_ in lists],
        },
        ensure_ascii=False,
    )
)
