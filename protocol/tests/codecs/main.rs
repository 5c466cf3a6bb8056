//! Both codecs, whatever the input: what one side writes the other reads, equal frames are decided
//! equally, and bytes of any kind are answered, with memory in proportion to their number.

mod arbitrary;
mod foreign;
mod frames;
mod memory;
mod pack;

use arbitrary::{bytes, entries, forms, request, written};
use madang_protocol::{
    Operation,
    codec::{Codec, DecodeError},
    limits::DEPTH_MAX,
};
use pack::{json, pack};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rmpv::Value as Packed;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_client_writes_is_read(request in request(), nulls in any::<bool>(), forms in forms()) {
        let entries = written(&request, nulls);
        prop_assert_eq!(Codec::Json.decode(&json(&entries)), Ok(request.clone()));
        prop_assert_eq!(Codec::MessagePack.decode(&pack(&entries, &forms)), Ok(request));
    }

    #[test]
    fn equal_frames_are_decided_equally(entries in entries(), forms in forms()) {
        let decided = Codec::Json.decode(&json(&entries));
        prop_assert_ne!(&decided, &Err(DecodeError::Undecodable));
        prop_assert_eq!(Codec::MessagePack.decode(&pack(&entries, &forms)), decided);
    }

    #[test]
    fn any_bytes_are_answered_with_little_memory(bytes in bytes()) {
        for codec in Codec::ALL {
            memory::assert_in_proportion(codec, &bytes);
        }
    }

    #[test]
    fn undecodable_is_what_another_reader_cannot_read(bytes in bytes()) {
        let is_refused = Codec::MessagePack.decode(&bytes) == Err(DecodeError::Undecodable);
        prop_assert_eq!(is_refused, !is_map_for_another_reader(&bytes));
    }
}

fn is_map_for_another_reader(mut bytes: &[u8]) -> bool {
    match rmpv::decode::read_value(&mut bytes) {
        Ok(value @ Packed::Map(_)) => bytes.is_empty() && is_within(&value, DEPTH_MAX),
        Ok(_) | Err(_) => false,
    }
}

/// Keys and texts are text, and no more than so many levels are nested.
fn is_within(value: &Packed, levels: usize) -> bool {
    match value {
        Packed::String(text) => text.is_str(),
        Packed::Array(items) => levels > 0 && items.iter().all(|item| is_within(item, levels - 1)),
        Packed::Map(entries) => {
            let is_text = |key: &Packed| key.as_str().is_some();
            let mut each = entries.iter();
            levels > 0 && each.all(|(key, value)| is_text(key) && is_within(value, levels - 1))
        }
        _ => true,
    }
}

#[test]
fn every_operation_is_among_the_arbitrary_ones() {
    let mut runner = TestRunner::deterministic();
    let mut missing = Operation::NAMES.to_vec();
    for _ in 0..1_000 {
        let request = request().new_tree(&mut runner).expect("a request").current();
        missing.retain(|name| *name != request.operation.name());
    }
    assert_eq!(missing, [""; 0]);
}
