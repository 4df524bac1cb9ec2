import type { Store } from '../../store/connection.ts'

export interface SagaCounts {
  readonly saga: string
  /** Under way, or being undone. */
  readonly running: number
  readonly completed: number
  readonly failed: number
  /** They wait for somebody. */
  readonly stuck: number
}

/** How many there are of each kind, by name. */
export async function readSagaCounts(store: Store): Promise<readonly SagaCounts[]> {
  const { rows } = await store.query(
    `select saga, count(*) filter (where status in ('running', 'compensating'))::int as running,
       count(*) filter (where status = 'completed')::int as completed, count(*) filter (where status = 'failed')::int as failed,
       count(*) filter (where status = 'stuck')::int as stuck
     from evt.sagas group by saga order by saga`,
  )
  return rows as unknown as readonly SagaCounts[]
}
