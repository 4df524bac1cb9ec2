import { userInfo } from 'node:os'
import type { Audit, AuditEntry } from '../../store/audit.ts'

/** Who types, for the audit log; a container may run under a number that has no name. */
export function operatorName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

/** What a command writes into the audit log, in the transaction of its change. */
export async function auditAs(verb: string, entry: Omit<AuditEntry, 'who' | 'verb'>): Promise<Audit> {
  const { createAudit } = await import('../../store/audit.ts')
  return createAudit({ who: operatorName(), verb, ...entry })
}
