import type { PerformanceCoordinator } from '../../index.ts'
import { type Phase, phases } from './contracts.ts'
import { type Finding, kinds, type Reference } from './records.ts'

export interface Submission {
  readonly kind: keyof typeof kinds
  readonly recordId: string
  readonly body: string
}

/** Is told before and after each phase. */
export interface PhaseListener {
  started(phase: Phase): void
  ended(phase: Phase, durationMs: number, findings: readonly Finding[]): void
}

export interface RunOptions {
  readonly coordinator: PerformanceCoordinator
  /** What the run's performance events have in common. */
  readonly contextId: string
  readonly listener: PhaseListener
  isAccepted(reference: Reference): Promise<boolean>
}

export type Verdict =
  | { readonly isValid: true; readonly record: unknown }
  | { readonly isValid: false; readonly phase: Phase; readonly findings: readonly Finding[] }

/** One phase after the other; the first that finds something is the last. What `isAccepted` throws, it throws. */
export async function runPhases(submission: Submission, options: RunOptions): Promise<Verdict> {
  const { coordinator, contextId, listener } = options
  const checks = checksOf(submission, options)
  const about = { operation: 'validation', contextId }
  return coordinator.operation(about, async () => {
    for (const phase of phases) {
      listener.started(phase)
      const began = performance.now()
      const findings = await coordinator.phase(phase, about, checks[phase])
      listener.ended(phase, performance.now() - began, findings)
      if (findings.length > 0) return { isValid: false, phase, findings }
    }
    return { isValid: true, record: checks.record() }
  })
}

type Checks = Readonly<Record<Phase, () => readonly Finding[] | Promise<readonly Finding[]>>> & { record(): unknown }

const mostFindings = 20

function checksOf({ kind, recordId, body }: Submission, { isAccepted }: RunOptions): Checks {
  const { schema, rules, references } = kinds[kind]
  let record: unknown
  return {
    record: () => record,
    parse() {
      try {
        record = JSON.parse(body)
        return []
      } catch {
        return [{ fieldPath: '', code: 'no-json', message: 'is no JSON' }]
      }
    },
    schema() {
      const { success, error } = schema.safeParse(record)
      if (success) return sameId(record, recordId)
      return error.issues
        .slice(0, mostFindings)
        .map(({ path, code }) => ({ fieldPath: path.join('.'), code, message: `is not as a ${kind} has it` }))
    },
    rules: () => rules(record),
    async references() {
      const findings: Finding[] = []
      for (const reference of references(record)) {
        if (await isAccepted(reference)) continue
        const message = `names a ${reference.kind} that was never accepted`
        findings.push({ fieldPath: reference.fieldPath, code: 'unknown-reference', message })
      }
      return findings
    },
  }
}

const sameId = (record: unknown, recordId: string): readonly Finding[] =>
  (record as { readonly id: string }).id === recordId
    ? []
    : [{ fieldPath: 'id', code: 'other-id', message: 'is not the id that was submitted' }]
