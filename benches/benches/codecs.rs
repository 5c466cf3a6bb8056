//! `cargo bench -p madang-bench --bench codecs`

use madang_bench::micro::codecs::{decode_json, encode};
use madang_protocol::codec::Codec;

fn main() {
    for codec in [Codec::Json, Codec::MessagePack] {
        println!("a message encoded, {codec:?}: {}", encode(codec, 15, 200_000));
    }
    println!("a send decoded, Json: {}", decode_json(15, 200_000));
}
