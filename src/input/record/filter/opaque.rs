//! Values that only the functions of this program know.

/// Makes a type a value of expressions with an opaque type of its own, and with `equals` if it can be compared.
macro_rules! opaque_value {
    ($value:ty, $type:expr $(, $equals:path)?) => {
        impl cel::common::value::Val for $value {
            fn get_type(&self) -> &cel::common::types::Type {
                Self::cel_type()
            }

            fn cel_type() -> &'static cel::common::types::Type {
                static TYPE: std::sync::LazyLock<cel::common::types::Type> = std::sync::LazyLock::new(|| $type);
                &TYPE
            }

            $(
                fn equals(&self, other: &dyn cel::common::value::Val) -> bool {
                    $equals(self, other)
                }
            )?

            fn clone_as_boxed<'v>(&self) -> Box<dyn cel::common::value::Val + 'v>
            where
                Self: 'v,
            {
                Box::new(self.clone())
            }

            fn as_any(&self) -> Option<&dyn std::any::Any> {
                Some(self)
            }
        }

        impl cel::common::value::StaticVal for $value {}
    };
}

pub(super) use opaque_value;
