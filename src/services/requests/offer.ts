import { randomUUID } from 'node:crypto'
import type { HandlerContext } from '../../index.ts'
import { assignmentCreated, assignmentRejected } from './contracts.ts'

/** Nobody who could do it is left to be asked. It may pass: shifts begin, people come back. */
export class NobodyFree extends Error {
  override readonly name = 'NobodyFree'
}

/**
 * Offers a request to the executor of its trade who has least to do and has not refused it. Throws NobodyFree.
 */
export async function offer(
  { sql, publish }: Pick<HandlerContext, 'sql' | 'publish'>,
  { request_id, category }: { readonly request_id: string; readonly category: string },
): Promise<void> {
  const [executor] = await sql<{ user_id: string }>`
    select u.user_id from requests.users u
    where u.role = 'executor' and u.deleted_at is null and (${category} = any(u.specializations) or u.specializations = '{}')
      and not exists (select from requests.assignments a
        where a.request_id = ${request_id} and a.executor_id = u.user_id and a.status = 'rejected')
    order by (select count(*) from requests.assignments a
      where a.executor_id = u.user_id and a.status in ('created', 'accepted')), u.user_id
    limit 1`
  if (!executor) throw new NobodyFree(`nobody is free for request ${request_id} (${category})`)
  const assignment_id = randomUUID()
  await publish({
    type: assignmentCreated.type,
    subject: `assignment/${assignment_id}`,
    data: { assignment_id, request_id, executor_id: Number(executor.user_id) },
  })
}

/** Nobody has to answer any more: the request is over. */
export async function takeBack(
  { publish }: Pick<HandlerContext, 'publish'>,
  asked: { readonly assignment_id: string; readonly request_id: string; readonly executor_id: number },
): Promise<void> {
  await publish({
    type: assignmentRejected.type,
    subject: `assignment/${asked.assignment_id}`,
    data: { ...asked, reason: 'the request is over', is_final: true },
  })
}
