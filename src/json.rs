//! The published language as proto3 JSON, in and out: what an import reads and an export writes, a
//! message a line, and how two messages differ. It goes by the descriptors of the protos, so no message needs code of its own.

use std::sync::LazyLock;

use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use thiserror::Error;

pub use self::differences::differences;
use crate::proto;

mod differences;

/// A message that is read or written as JSON.
pub trait Published: prost::Message + Default {
    /// Its full name in the published language.
    const FULL_NAME: &'static str;
}

impl Published for proto::ExecuteRequest {
    const FULL_NAME: &'static str = "strata.v1.ExecuteRequest";
}

impl Published for proto::Commit {
    const FULL_NAME: &'static str = "strata.v1.Commit";
}

impl Published for proto::ExplainResponse {
    const FULL_NAME: &'static str = "strata.v1.ExplainResponse";
}

impl Published for proto::Plan {
    const FULL_NAME: &'static str = "strata.v1.Plan";
}

impl Published for proto::Objective {
    const FULL_NAME: &'static str = "strata.v1.Objective";
}

impl Published for proto::Indicator {
    const FULL_NAME: &'static str = "strata.v1.Indicator";
}

impl Published for proto::Assumption {
    const FULL_NAME: &'static str = "strata.v1.Assumption";
}

impl Published for proto::Strategy {
    const FULL_NAME: &'static str = "strata.v1.Strategy";
}

impl Published for proto::Tactic {
    const FULL_NAME: &'static str = "strata.v1.Tactic";
}

impl Published for proto::Commitment {
    const FULL_NAME: &'static str = "strata.v1.Commitment";
}

impl Published for proto::Acknowledgement {
    const FULL_NAME: &'static str = "strata.v1.Acknowledgement";
}

/// Why JSON could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is not JSON, or not JSON of this message; the words say where and why.
    #[error("{}{}", blame(.0), .0)]
    Malformed(#[from] serde_json::Error),
    /// The message does not agree with the descriptors that this program was built with.
    #[error("{name} does not agree with the descriptors of this program: {reason}")]
    Descriptors {
        /// The full name of the message.
        name: &'static str,
        /// What was found.
        reason: String,
    },
}

/// Reads one message. A field that the message does not have is refused: a misspelt one would
/// otherwise be lost in silence.
pub fn from_json<T: Published>(text: &str) -> Result<T, JsonError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message =
        DynamicMessage::deserialize_with_options(descriptor::<T>()?, &mut reader, &options)?;
    reader.end()?;
    message
        .transcode_to()
        .map_err(|error| disagreement::<T>(&error))
}

/// Writes one message on one line, with the field names of the protos, 64-bit integers as texts
/// (JavaScript would round them) and without fields that are empty.
pub fn to_json<T: Published>(message: &T) -> Result<String, JsonError> {
    let mut dynamic = DynamicMessage::new(descriptor::<T>()?);
    dynamic
        .transcode_from(message)
        .map_err(|error| disagreement::<T>(&error))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(true)
        .skip_default_fields(true);
    let mut bytes = Vec::new();
    dynamic.serialize_with_options(&mut serde_json::Serializer::new(&mut bytes), &options)?;
    String::from_utf8(bytes).map_err(|error| disagreement::<T>(&error))
}

/// Says whether the text is at fault before it is a message: the reader's own words do not.
fn blame(error: &serde_json::Error) -> &'static str {
    if error.is_data() { "" } else { "not JSON: " }
}

fn descriptor<T: Published>() -> Result<MessageDescriptor, JsonError> {
    static POOL: LazyLock<Result<DescriptorPool, String>> = LazyLock::new(|| {
        DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).map_err(|error| error.to_string())
    });
    POOL.as_ref()
        .map_err(|reason| disagreement::<T>(reason))?
        .get_message_by_name(T::FULL_NAME)
        .ok_or_else(|| disagreement::<T>("no message of that name"))
}

fn disagreement<T: Published>(reason: &(impl ToString + ?Sized)) -> JsonError {
    JsonError::Descriptors {
        name: T::FULL_NAME,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measured(value: f64) -> proto::ExecuteRequest {
        let measurement = proto::RecordMeasurement {
            value: Some(value),
            ..Default::default()
        };
        proto::ExecuteRequest {
            commands: vec![proto::Command {
                kind: Some(proto::command::Kind::RecordMeasurement(measurement)),
            }],
            ..Default::default()
        }
    }

    #[test]
    fn a_number_whose_last_digit_matters_is_read_as_it_was_written() {
        let request = measured(7.041_529_113_171_097e-9);
        let line = to_json(&request).expect("it can be written");
        let read: proto::ExecuteRequest = from_json(&line).expect("it is well formed");
        assert_eq!(read, request, "{line}");
    }

    proptest! {
        #[test]
        fn any_number_is_read_as_it_was_written(value: f64) {
            let request = measured(value);
            let line = to_json(&request).expect("it can be written");
            let read: proto::ExecuteRequest = from_json(&line).expect("it is well formed");
            prop_assert_eq!(read, request);
        }
    }

    #[test]
    fn a_request_is_written_as_it_was_read() {
        let line = concat!(
            r#"{"plan_id":"growth","expected_revision":"0","occurred_at":"1959-02-19T00:00:00Z","#,
            r#""occurred_precision":"PRECISION_DAY","because":[{"revision":"18446744073709551615","#,
            r#""role":"CAUSE_ROLE_TRIGGER"}],"commands":[{"record_measurement":"#,
            r#"{"indicator_id":"cases","value":0.0,"unit":"cases","window":"604800s"}}]}"#,
        );
        let request: proto::ExecuteRequest = from_json(line).expect("it is well formed");
        assert_eq!(request.expected_revision, Some(0));
        assert_eq!(to_json(&request).expect("it can be written"), line);
    }

    #[test]
    fn what_is_not_a_request_is_refused_with_its_place() {
        for (line, words) in [
            (
                r#"{"plan":"x"}"#,
                "unrecognized field name 'plan' at line 1 column 7",
            ),
            (r#"{"plan_id":1}"#, "line 1 column 12"),
            (r#"{"plan_id":"x"} {}"#, "trailing characters"),
            ("", "EOF"),
            ("nothing", "not JSON: "),
            ("[]", "line 1 column"),
            (
                r#"{"commands":[{"archive_plan":{"outcome":"MET"}}]}"#,
                "MET",
            ),
        ] {
            let error = from_json::<proto::ExecuteRequest>(line).expect_err(line);
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn a_time_that_json_cannot_say_is_an_error_and_no_panic() {
        let request = proto::ExecuteRequest {
            occurred_at: Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: -1,
            }),
            ..Default::default()
        };
        assert!(to_json(&request).is_err());
    }
}
