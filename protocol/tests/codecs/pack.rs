//! Frames written by hand: nothing here knows the codecs. MessagePack has several forms of nearly
//! everything, and a reader has to take each of them.

use serde_json::Value;

/// The entries of a map, in order; a key may be there twice.
pub(super) type Entries = Vec<(String, Value)>;

/// As JSON text.
pub(super) fn json(entries: &Entries) -> Vec<u8> {
    let entry = |(key, value): &(String, Value)| format!("{}:{value}", Value::from(key.as_str()));
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!("{{{}}}", entries.join(", ")).into_bytes()
}

/// As MessagePack. `forms` chooses, over and over, among the forms a header can take.
pub(super) fn pack(entries: &Entries, forms: &[u8]) -> Vec<u8> {
    let mut packer = Packer { bytes: Vec::new(), forms: forms.iter().cycle() };
    packer.map(entries.iter().map(|(key, value)| (key, value)));
    packer.bytes
}

struct Packer<'a> {
    bytes: Vec<u8>,
    forms: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl Packer<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes.push(0xc0),
            Value::Bool(value) => self.bytes.push(0xc2 + u8::from(*value)),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => self.unsigned(value),
                (None, Some(value)) => self.negative(value),
                (None, None) => {
                    self.bytes.push(0xcb);
                    self.bytes.extend(number.as_f64().expect("a number").to_be_bytes());
                }
            },
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.head(items.len() as u64, Some((0x90, 16)), &[(0xdc, 2), (0xdd, 4)]);
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(map) => self.map(map.iter()),
        }
    }

    fn map<'b>(&mut self, entries: impl ExactSizeIterator<Item = (&'b String, &'b Value)>) {
        self.head(entries.len() as u64, Some((0x80, 16)), &[(0xde, 2), (0xdf, 4)]);
        for (key, value) in entries {
            self.text(key);
            self.value(value);
        }
    }

    fn text(&mut self, text: &str) {
        let forms = [(0xd9, 1), (0xda, 2), (0xdb, 4)];
        self.head(text.len() as u64, Some((0xa0, 32)), &forms);
        self.bytes.extend(text.as_bytes());
    }

    fn unsigned(&mut self, value: u64) {
        let mut forms = vec![(0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8)];
        // Signed forms hold it too, if its highest bit there is not set.
        let signed = [(0xd0, 1), (0xd1, 2), (0xd2, 4), (0xd3, 8)];
        forms.extend(signed.into_iter().filter(|(_, bytes)| value >> (8 * bytes - 1) == 0));
        self.head(value, Some((0, 128)), &forms);
    }

    fn negative(&mut self, value: i64) {
        let forms = [(0xd0, 1), (0xd1, 2), (0xd2, 4), (0xd3, 8)];
        let fits = |bytes: usize| value >= i64::MIN >> (64 - 8 * bytes);
        let mut written: Vec<Vec<u8>> = Vec::new();
        if value >= -32 {
            written.push(vec![value.to_be_bytes()[7]]);
        }
        for (marker, bytes) in forms.into_iter().filter(|(_, bytes)| fits(*bytes)) {
            written.push([&[marker], &value.to_be_bytes()[8 - bytes..]].concat());
        }
        self.choose(written);
    }

    /// A number in one of the forms that can hold it: within the marker, if it is below that
    /// bound, or in so many bytes behind it.
    fn head(&mut self, number: u64, within: Option<(u8, u64)>, behind: &[(u8, usize)]) {
        let mut written: Vec<Vec<u8>> = Vec::new();
        if let Some((marker, end)) = within
            && number < end
        {
            written.push(vec![marker | number.to_be_bytes()[7]]);
        }
        let fits = |bytes: usize| bytes == 8 || number >> (8 * bytes) == 0;
        for (marker, bytes) in behind.iter().filter(|(_, bytes)| fits(*bytes)) {
            written.push([&[*marker], &number.to_be_bytes()[8 - bytes..]].concat());
        }
        self.choose(written);
    }

    fn choose(&mut self, written: Vec<Vec<u8>>) {
        let form = usize::from(*self.forms.next().expect("forms are chosen over and over"));
        self.bytes.extend(&written[form % written.len()]);
    }
}
