/**
 * Files under `src/` that are never part of the package: tests and what they share. They may reach into a lower module past its
 * door, use dev dependencies and take the time from the machine.
 */
export const unshipped: RegExp = /\.(test|test-d|bench|test-support)\.ts$|\/(fixtures|conformance)\//
