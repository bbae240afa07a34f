//! The metadata of an offset of a group, which anybody can set to any bytes.
#![allow(unsafe_code)] // The safe client panics if it is not UTF-8.

use std::ffi::CString;

use rdkafka::bindings::rd_kafka_topic_partition_list_find;
use rdkafka::topic_partition_list::TopicPartitionList;

/// Returns the metadata of a partition in `list`, empty if there is none. Bytes that are not UTF-8 are replaced.
pub(super) fn metadata(list: &TopicPartitionList, topic: &str, partition: i32) -> String {
    let Ok(name) = CString::new(topic) else { return String::new() };
    // SAFETY: the list and the name live until the bytes are copied, and the pointers are checked before they are read.
    unsafe {
        let found = rd_kafka_topic_partition_list_find(list.ptr(), name.as_ptr(), partition);
        if found.is_null() || (*found).metadata.is_null() {
            return String::new();
        }
        let bytes = std::slice::from_raw_parts((*found).metadata.cast::<u8>(), (*found).metadata_size);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_that_of_the_partition() {
        let mut list = TopicPartitionList::new();
        list.add_partition("t", 0).set_metadata("a b");
        list.add_partition("t", 1);
        assert_eq!(
            [("t", 0), ("t", 1), ("t", 2), ("u", 0)].map(|(topic, at)| metadata(&list, topic, at)),
            ["a b", "", "", ""]
        );
    }
}
