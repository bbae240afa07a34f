//! The id that the cluster has given a topic. A topic that is deleted and made again has another one.
#![allow(unsafe_code)] // The safe client has no function for it.

use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics, rd_kafka_TopicCollection_destroy,
    rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_topic_id,
    rd_kafka_Uuid_base64str, rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy, rd_kafka_event_t,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_t,
};

/// The id that a broker sends which knows none.
const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Asks for the id of `topic`. Returns nothing if no broker answers in time, or if they are older than topic ids.
///
/// `client` must be a client that lives until this returns.
pub(super) fn topic_id(client: *mut rd_kafka_t, topic: &str, patience: Duration) -> Option<String> {
    let name = CString::new(topic).ok()?;
    let mut names = [name.as_ptr()];
    let millis = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives, the names live until the request was made, and what was created is destroyed once.
    // Everything that is read below `event` is copied before it is destroyed.
    unsafe {
        let queue = rd_kafka_queue_new(client);
        let topics = rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        rd_kafka_DescribeTopics(client, topics, ptr::null(), queue);
        rd_kafka_TopicCollection_destroy(topics);
        let event = rd_kafka_queue_poll(queue, millis);
        let id = (!event.is_null()).then(|| id_in(event)).flatten();
        if !event.is_null() {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue);
        id
    }
}

/// Returns the id of the only topic in an answer.
///
/// # Safety
///
/// `event` must be an event that was not destroyed.
unsafe fn id_in(event: *mut rd_kafka_event_t) -> Option<String> {
    // SAFETY: every pointer comes from the event, and is checked before it is used.
    unsafe {
        let result = rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let topics = rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count != 1 || !rd_kafka_TopicDescription_error(*topics).is_null() {
            return None;
        }
        let id = rd_kafka_TopicDescription_topic_id(*topics);
        if id.is_null() {
            return None;
        }
        let text = rd_kafka_Uuid_base64str(id);
        let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
        text.filter(|text| text != NONE)
    }
}
