import type { NewEvent } from '../core/event.ts'

/** About what an event takes in memory and on its way, before it is encoded. What cannot be encoded is refused later. */
export function roughBytes(event: NewEvent): number {
  try {
    return (JSON.stringify(event.data)?.length ?? 0) + 500
  } catch {
    return 500
  }
}
