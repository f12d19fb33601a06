const nobody = new Int32Array(new SharedArrayBuffer(4))

/**
 * Lets the clock of the machine go on by a millisecond: what is run before and after, and asks for the time, is answered differently.
 * Whatever a test has put in place of timers and clocks, this waits.
 */
export function anotherMoment(): void {
  Atomics.wait(nobody, 0, 0, 1.1)
}
