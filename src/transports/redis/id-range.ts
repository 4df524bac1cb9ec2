import type { Message } from '../transport.ts'

/** In one case and one shape, so that their order is the same for every server, whatever its locale. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Of the ids of a batch: the greatest that is a UUID, and the least when all are; '' for none. */
export function rangeOfIds(batch: readonly Pick<Message, 'id'>[]): {
  readonly least: string
  readonly greatest: string
} {
  let [least, greatest] = ['', '']
  let all = true
  for (const { id } of batch) {
    if (!uuid.test(id)) {
      all = false
      continue
    }
    if (least === '' || id < least) least = id
    if (id > greatest) greatest = id
  }
  return { least: all ? least : '', greatest }
}
