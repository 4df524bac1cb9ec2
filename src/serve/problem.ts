import type { FastifyReply } from 'fastify'

/** What an answer that is no success says: RFC 9457, with the next thing to do. */
export interface Problem {
  readonly status: number
  readonly title: string
  readonly hint?: string | undefined
  readonly retryAfterSeconds?: number | undefined
}

/** Thrown where a request cannot be answered. */
export class HttpProblem extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.title)
    this.problem = problem
  }
}

export function sendProblem(reply: FastifyReply, { status, title, hint, retryAfterSeconds }: Problem): FastifyReply {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="evt"')
  return reply
    .code(status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', status, title, ...(hint === undefined ? {} : { hint }) }))
}
