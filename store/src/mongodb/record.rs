use madang_protocol::Message;
use serde::Deserialize;
#[derive(Debug, Deserialize)]
pub(super) struct MessageRecord {
    pub seq: i64,
}
impl From<MessageRecord> for Message {
    fn from(_: MessageRecord) -> Self {
        unimplemented!()
    }
}
