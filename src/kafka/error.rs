//! Why a topic cannot be read.

/// Why a topic cannot be read.
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
}
