//! A write to the store, under a deadline, with what its failure means to a client.

use madang_actors::store_reader::refusal;
use madang_protocol::Refusal;
use madang_store::StoreError;
use std::time::Duration;

/// Awaits a store call for at most `wait`. Beyond: `unavailable`, the outcome unknown.
pub(crate) async fn within<T>(
    wait: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(wait, call).await {
        Ok(answer) => answer.map_err(|error| refusal(&error)),
        Err(_) => Err(Refusal::unavailable("the store takes too long; the outcome is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madang_protocol::ErrorCode;

    #[tokio::test(start_paused = true)]
    async fn every_failure_has_its_code() {
        let fails = |error| within(Duration::from_secs(1), async { Err::<(), _>(error) });
        for (error, code) in [
            (StoreError::Overloaded, ErrorCode::Overloaded),
            (StoreError::Unavailable("full".to_owned()), ErrorCode::Unavailable),
            (StoreError::Unknown("lost".to_owned()), ErrorCode::Unavailable),
            (StoreError::Damaged { table: "users", detail: String::new() }, ErrorCode::Internal),
        ] {
            assert_eq!(fails(error).await.unwrap_err().code, code);
        }
        let stuck = within::<()>(Duration::from_secs(1), std::future::pending());
        assert_eq!(stuck.await.unwrap_err().code, ErrorCode::Unavailable);
    }
}
