//! What happens to messages in a queue besides sending and receiving: they expire.

use std::sync::Arc;

use crate::Engine;

/// Takes away messages that are older than the queue keeps them.
pub(super) fn expire(cx: &mut Engine, name: &Arc<str>) {
    let now = cx.now;
    let has_expired = |queue: &super::Queue| {
        queue.sent.first().filter(|(sent, _)| *sent < queue.kept_since(now)).map(|(_, serial)| *serial)
    };
    if cx.sqs.queues.get(name).and_then(has_expired).is_none() {
        return;
    }
    let sqs = &mut cx.sqs;
    let Some(mut row) = sqs.queues.edit(name) else { return };
    while let Some(serial) = has_expired(&row) {
        if let Some(message) = row.take(serial) {
            sqs.stored_bytes -= message.bytes();
        }
    }
}
