//! Configs and bytes of every phase. A phase whose bytes change must raise its version; then this is written anew.

use laboratory::{Laboratory, keys, short};

use crate::lab::{encoding, parts, run, vocabulary};

#[test]
fn phases_have_the_keys_of_their_version() {
    assert_eq!(keys(&vocabulary()), ["count 1 4c9506a30c26", "merge 1 ae8370cab25b"]);
    assert_eq!(keys(&encoding("validation = 0.3").unwrap()), ["encode 1 b29bfa2f5db3"]);
}

#[test]
fn phases_write_the_bytes_of_their_version() {
    let ran = run(&Laboratory::default(), &parts(), "validation = 0.3").unwrap();
    assert_eq!(
        short(&ran.outputs("vocab")),
        [
            "count/part-a/counts 95cdce32c397",
            "count/part-b/counts de26ac4bab63",
            "merge/merge/tokenizer.json 8eac4a1b5923",
            "merge/merge/tokenizer_config.json e29d033baf1d",
        ]
    );
    assert_eq!(
        short(&ran.outputs("shards")),
        [
            "encode/part-a/train.bin 3a74da908800",
            "encode/part-a/train.docs.parquet aaac8cf584b3",
            "encode/part-a/train.idx f8ac6587dad1",
            "encode/part-a/validation.bin 1555488303b7",
            "encode/part-a/validation.docs.parquet 98f9545b4420",
            "encode/part-a/validation.idx b68345a66d78",
            "encode/part-b/train.bin 12deaf3df85f",
            "encode/part-b/train.docs.parquet 42c5e0e68102",
            "encode/part-b/train.idx f65ca6517c4e",
            "encode/part-b/validation.bin 82ae0060ab8a",
            "encode/part-b/validation.docs.parquet fc527cc0ae03",
            "encode/part-b/validation.idx 293b2ebec8af",
        ]
    );
}
