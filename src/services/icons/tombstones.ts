import type { EvtEvent, HandlerContext } from '../../index.ts'

/** Each handler that forgets a user says so in its own transaction: none of them knows how far the others are. */
export async function bury(
  { sql }: Pick<HandlerContext, 'sql'>,
  { data, time }: Pick<EvtEvent<{ readonly user_id: string }>, 'data' | 'time'>,
): Promise<void> {
  await sql`insert into icons.tombstones values (${data.user_id}, ${time}) on conflict do nothing`
}
