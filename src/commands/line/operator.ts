import { userInfo } from 'node:os'

/** Who types, for the audit log; a container may run under a number that has no name. */
export function operatorName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
