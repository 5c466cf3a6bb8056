//! What wrapped backends have in common.

/// The lock methods of a backend, forwarded to `self.$storage`. Locks are never held back, delayed
/// or counted: they are what says that the storage is in use.
macro_rules! forward_locks {
    ($($storage:tt)+) => {
        fn try_lock_range(
            &self,
            from: std::ops::Bound<u64>,
            to: std::ops::Bound<u64>,
        ) -> Result<bool, ::redb::BackendError> {
            self.$($storage)+.try_lock_range(from, to)
        }

        fn try_lock_shared_range(
            &self,
            from: std::ops::Bound<u64>,
            to: std::ops::Bound<u64>,
        ) -> Result<bool, ::redb::BackendError> {
            self.$($storage)+.try_lock_shared_range(from, to)
        }

        fn lock_range(
            &self,
            from: std::ops::Bound<u64>,
            to: std::ops::Bound<u64>,
        ) -> Result<(), ::redb::BackendError> {
            self.$($storage)+.lock_range(from, to)
        }

        fn lock_shared_range(
            &self,
            from: std::ops::Bound<u64>,
            to: std::ops::Bound<u64>,
        ) -> Result<(), ::redb::BackendError> {
            self.$($storage)+.lock_shared_range(from, to)
        }

        fn unlock_range(
            &self,
            from: std::ops::Bound<u64>,
            to: std::ops::Bound<u64>,
        ) -> Result<(), ::redb::BackendError> {
            self.$($storage)+.unlock_range(from, to)
        }

        fn query_lock_range(
            &self,
            from: std::ops::Bound<u64>,
            to: std::ops::Bound<u64>,
        ) -> Result<bool, ::redb::BackendError> {
            self.$($storage)+.query_lock_range(from, to)
        }
    };
}

pub(super) use forward_locks;
