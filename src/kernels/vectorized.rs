//! Functions that run with the widest vector instructions of the processor they find.

/// A function that is compiled once for each kind of vector instructions, and runs with the widest that the
/// processor has. What it calls must be `#[inline(always)]` to be compiled so, too.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$(const $n:ident: usize),+>)? (
        $($argument:ident: $type:ty),* $(,)?
    ) $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<$(const $n: usize),+>)? ($($argument: $type),*) {
            struct Call<$($(const $n: usize,)+)? A>(A);

            impl $(<$(const $n: usize),+>)? pulp::NullaryFnOnce for Call<$($($n,)+)? ($($type,)*)> {
                type Output = ();

                #[inline(always)]
                fn call(self) {
                    let ($($argument,)*) = self.0;
                    $body
                }
            }

            pulp::Arch::new().dispatch(Call::<$($($n,)+)? _>(($($argument,)*)));
        }
    };
}

pub(crate) use vectorized;
