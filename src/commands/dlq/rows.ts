import { formatAge } from '../../core/duration.ts'
import { formatCount } from '../../core/quantity.ts'
import { typeText } from '../../core/visible.ts'
import type { Output } from '../../output/output.ts'
import { type Column, renderTable } from '../../output/table.ts'
import type { Cause, DeadLetter } from '../../store/dead-letters.ts'

/** One dead letter in a list, from wherever it lies. */
export interface Row {
  readonly id: string
  readonly eventId: string
  readonly handler: string
  readonly type: string
  readonly subject: string | null
  readonly cause: string
  readonly reason: string
  /** `TypeError: cannot read …`. */
  readonly error: string
  readonly attempts: number
  readonly returned: number
  readonly firstFailedAt: string
  readonly lastFailedAt: string
}

/** Dead letters of one cause, in a list. */
export type CauseRow = Omit<Cause, 'reason'> & { readonly reason: string }

export const rowOf = (letter: DeadLetter): Row => ({
  id: letter.id,
  eventId: letter.eventId,
  handler: letter.handler,
  type: letter.type,
  subject: letter.subject ?? null,
  cause: letter.cause,
  reason: letter.reason,
  error: `${letter.error.class}: ${letter.error.message}`,
  attempts: letter.attempts.length,
  returned: letter.returned,
  firstFailedAt: letter.firstFailedAt,
  lastFailedAt: letter.lastFailedAt,
})

/** The most frequent cause first. */
export async function groupRows(rows: AsyncIterable<Row>): Promise<readonly CauseRow[]> {
  const groups = new Map<string, CauseRow>()
  for await (const row of rows) {
    const key = `${row.cause}\n${row.handler}\n${row.type}`
    groups.set(key, merged(groups.get(key), row))
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}

function merged(group: CauseRow | undefined, row: Row): CauseRow {
  const { cause, handler, type, reason, firstFailedAt, lastFailedAt, id } = row
  const newest = !group || lastFailedAt >= group.lastAt
  return {
    cause,
    handler,
    type,
    reason,
    error: newest ? row.error : group.error,
    count: (group?.count ?? 0) + 1,
    attempts: (group?.attempts ?? 0) + row.attempts,
    returned: (group?.returned ?? 0) + (row.returned > 0 ? 1 : 0),
    firstAt: group && group.firstAt < firstFailedAt ? group.firstAt : firstFailedAt,
    lastAt: newest ? lastFailedAt : group.lastAt,
    sampleId: newest ? id : group.sampleId,
  }
}

/** Foreign graves may not say when. */
function ago(at: string, nowMs: number): string {
  const ageMs = nowMs - Date.parse(at)
  return Number.isNaN(ageMs) ? '-' : `${formatAge(Math.round(Math.max(0, ageMs) / 1000) * 1000)} ago`
}

export function renderCauses(causes: readonly CauseRow[], nowMs: number, output: Output): string {
  const columns: Column<CauseRow>[] = [
    { head: 'CAUSE', cell: ({ cause }) => cause.slice(0, 8) },
    { head: 'COUNT', cell: ({ count }) => formatCount(count), align: 'right' },
    { head: '↩', cell: ({ returned }) => formatCount(returned), align: 'right', expendable: 3 },
    { head: 'HANDLER', cell: ({ handler }) => handler },
    { head: 'TYPE', cell: ({ type }) => typeText(type), expendable: 5 },
    { head: 'ERROR', cell: ({ error }) => error, grows: true },
    { head: 'FIRST', cell: ({ firstAt }) => ago(firstAt, nowMs), expendable: 2 },
    { head: 'LAST', cell: ({ lastAt }) => ago(lastAt, nowMs), expendable: 4 },
    { head: 'ATTEMPTS', cell: ({ attempts }) => formatCount(attempts), align: 'right', expendable: 1 },
    { head: 'SAMPLE', cell: ({ sampleId }) => sampleId, align: 'right' },
  ]
  return renderTable(causes, columns, output)
}

export function renderRows(rows: readonly Row[], nowMs: number, output: Output): string {
  const columns: Column<Row>[] = [
    { head: 'ID', cell: ({ id }) => id, align: 'right' },
    { head: 'CAUSE', cell: ({ cause }) => cause.slice(0, 8), expendable: 4 },
    { head: 'HANDLER', cell: ({ handler }) => handler },
    { head: 'TYPE', cell: ({ type }) => typeText(type), expendable: 6 },
    { head: 'SUBJECT', cell: ({ subject }) => subject, expendable: 3 },
    { head: 'ERROR', cell: ({ error }) => error, grows: true },
    { head: 'ATTEMPTS', cell: ({ attempts }) => attempts, align: 'right', expendable: 1 },
    { head: '↩', cell: ({ returned }) => returned, align: 'right', expendable: 2 },
    { head: 'LAST', cell: ({ lastFailedAt }) => ago(lastFailedAt, nowMs), expendable: 5 },
  ]
  return renderTable(rows, columns, output)
}
