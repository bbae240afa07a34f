//! Why a topic cannot be read or written.

/// Why a topic cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// This build has no client.
    #[error("this ckpt was built without the feature `kafka`; build it with `cargo build --release --features kafka`")]
    Unavailable,
    /// The client does not know a property, or not this value of it, which may be secret.
    #[error("the Kafka client refuses the setting `{property}`: {reason}")]
    Setting { property: String, reason: String },
    /// No broker has answered.
    #[error("no Kafka broker at `{brokers}` has answered for {seconds} s")]
    Away { brokers: String, seconds: u64 },
    #[error("topic `{topic}` does not exist")]
    UnknownTopic { topic: String },
    /// The broker refuses access to the topic, or the credentials.
    #[error("cannot read topic `{topic}`: {reason}")]
    Refused { topic: String, reason: String },
    /// The broker refuses messages or access to the topic.
    #[error("cannot write to topic `{topic}`: {reason}")]
    Unwritable { topic: String, reason: String },
    /// Messages were not sent; another try may succeed.
    #[error("cannot send to topic `{topic}`: {reason}")]
    Unsent { topic: String, reason: String },
    /// Another member of a group has the name of this one. It may also be a late request of this one that the brokers take for
    /// another: they do not tell them apart.
    #[error("another worker with the same name has joined the group `{group}`")]
    Replaced { group: String },
    /// Another writer has the name of this one.
    #[error("cannot write to topic `{topic}`: another run of this job writes to it by now (as `{name}`)")]
    Fenced { topic: String, name: String },
}

impl KafkaError {
    /// Returns whether another try may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, KafkaError::Away { .. } | KafkaError::Unsent { .. })
    }
}
