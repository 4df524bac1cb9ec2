import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../../src/index.ts'
import { ChannelDown } from '../../../src/services/requests/handlers/notifications.ts'
import type { ServiceDatabase } from '../commerce/service-database.ts'
import { openRequestsDatabase } from './requests-database.ts'

let here: ServiceDatabase
beforeAll(async () => {
  here = await openRequestsDatabase()
})
afterAll(() => here[Symbol.asyncDispose]())

let users = 0
const userEvent = (verb: string, user_id: number, data: object = {}): EvtEvent =>
  here.event(`requests.user.${verb}`, 1, { user_id, ...data })
const created = (user_id: number, more: object = {}) =>
  here.event(
    'requests.user.created',
    1,
    { user_id, telegram_id: 456_789, first_name: 'John', role: 'executor', specializations: ['electrical'], ...more },
    { version: 1 },
  )
const requestEvent = (verb: string, request_id: string, more: object = {}): EvtEvent =>
  here.event(`request.${verb}`, 2, { request_id, ...more })
const asked = (request_id: string, more: object = {}) =>
  requestEvent('created', request_id, {
    ...{ user_id: 1, category: 'plumbing', urgency: 'normal', description: 'it drips' },
    ...{ address: 'Main street 1', dispatch: 'automatic', ...more },
  })
const requestOf = (id: string) =>
  here.rows('select status, urgency, executor_id, reason from requests.requests where request_id = $1', id)
/** What the handlers said against it, by their errors' names and texts. */
const complaintsOf = async (event: EvtEvent) =>
  (await here.handle(event)).flatMap(({ error }) => (error ? [`${error.name}: ${error.message}`] : []))

describe('users', () => {
  const userOf = (id: number) =>
    here.rows('select full_name, role, permissions, verified_by, deleted_at from requests.users where user_id = $1', id)

  it('of version 1 get their full name and no permissions; of version 2 what they say', async () => {
    const [one, two] = [++users, ++users]
    await here.succeed(created(one, { last_name: 'Doe' }))
    expect(await userOf(one)).toMatchObject([{ full_name: 'John Doe', role: 'executor', permissions: [] }])
    const second = { first_name: 'Ada', last_name: null, full_name: 'Ada', role: 'manager', permissions: ['assign'] }
    await here.succeed(userEvent('created', two, second))
    expect(await userOf(two)).toMatchObject([{ full_name: 'Ada', role: 'manager', permissions: ['assign'] }])
  })

  it('change, are verified, and leave no name behind', async () => {
    const id = ++users
    const updated = userEvent('updated', id, { last_name: 'Roe', role: 'manager', changes: ['last_name', 'role'] })
    await here.succeed(created(id), updated, userEvent('verified', id, { document: 'passport', verified_by: 9 }))
    expect(await userOf(id)).toMatchObject([{ full_name: 'John Roe', role: 'manager', verified_by: '9' }])
    await here.succeed(userEvent('deleted', id), updated)
    expect(await userOf(id)).toMatchObject([{ full_name: '', verified_by: '9', deleted_at: expect.any(Date) }])
  })

  it('are not set back by an older event', async () => {
    const id = ++users
    const older = userEvent('updated', id, { first_name: 'Older', changes: ['first_name'] })
    const newer = userEvent('updated', id, { first_name: 'Newer', changes: ['first_name'] })
    await here.succeed(created(id), older, newer, older)
    expect(await userOf(id)).toMatchObject([{ full_name: 'Newer' }])
  })
})

describe('a request', () => {
  it('is created, updated, assigned and completed, each event once', async () => {
    const id = randomUUID()
    const events = [
      asked(id),
      requestEvent('updated', id, { urgency: 'high', changes: ['urgency'] }),
      requestEvent('assigned', id, { executor_id: 7, assignment_id: randomUUID() }),
      requestEvent('completed', id, { executor_id: 7 }),
    ]
    for (const event of events) await here.succeed(event, event)
    expect(await requestOf(id)).toEqual([{ status: 'completed', urgency: 'high', executor_id: '7', reason: null }])
    // A replay of all of it changes nothing.
    await here.succeed(...events)
    expect(await requestOf(id)).toMatchObject([{ status: 'completed' }])
  })

  it.each([
    ['completed', {}, 'is created: there can be no request.completed', []],
    ['completed', {}, 'is cancelled: there can be no request.completed', ['cancelled']],
    ['cancelled', { reason: 'late' }, 'is completed: there can be no request.cancelled', ['assigned', 'completed']],
    ['assigned', {}, 'is completed: there can be no request.assigned', ['assigned', 'completed']],
    ['updated', { changes: [] }, 'is cancelled: there can be no request.updated', ['cancelled']],
  ])('that cannot be %s is a dead letter that says why: %j %s', async (verb, more, reason, before) => {
    const id = randomUUID()
    const full = { executor_id: 7, assignment_id: randomUUID(), reason: 'no need' }
    await here.succeed(asked(id), ...before.map((one) => requestEvent(one, id, full)))
    expect(await complaintsOf(requestEvent(verb, id, { ...full, ...more }))).toEqual([
      `IllegalTransition: request ${id} ${reason}`,
    ])
  })

  it('that nobody created cannot be assigned', async () => {
    const id = randomUUID()
    expect(await complaintsOf(requestEvent('cancelled', id, { reason: 'x' }))).toEqual([
      `IllegalTransition: request ${id} is not known: there can be no request.cancelled`,
    ])
  })
})

describe('an assignment', () => {
  const offered = (request_id: string, executor_id: number, assignment_id: string = randomUUID()) => {
    const data = { assignment_id, request_id, executor_id }
    const event = (verb: string, more: object = {}) => here.event(`assignment.${verb}`, 3, { ...data, ...more })
    return { event, id: assignment_id }
  }
  const offerIn = (event: EvtEvent | undefined) => (event as EvtEvent<{ assignment_id: string }>).data.assignment_id
  const statusOf = async (id: string) =>
    (await here.rows('select status from requests.assignments where assignment_id = $1', id))[0]?.status

  it('is accepted and completed; refused after that it is a dead letter', async () => {
    const { event, id } = offered(randomUUID(), 7)
    const accepted = event('accepted')
    await here.succeed(event('created'), accepted, accepted)
    expect(await complaintsOf(event('rejected', { reason: 'busy' }))).toEqual([
      `IllegalTransition: assignment ${id} is accepted: there can be no assignment.rejected`,
    ])
    await here.succeed(event('completed'))
    expect(await statusOf(id)).toBe('completed')
  })

  it('that is refused goes to who has the trade, least to do, and has not refused it', async () => {
    const [one, two, three] = [++users, ++users, ++users]
    const heating = { specializations: ['heating'] }
    await here.succeed(created(one, heating), created(two, heating), created(three, heating))
    const id = randomUUID()
    await here.succeed(asked(id, { category: 'heating' }), offered(randomUUID(), two).event('created'))
    const first = offered(id, one)
    const [second] = await here.succeed(first.event('created'), first.event('rejected', { reason: 'ill' }))
    expect(second).toMatchObject({ type: 'assignment.created', data: { request_id: id, executor_id: three } })
    expect(second?.subject).toBe(`assignment/${offerIn(second)}`)
    const busy = offered(id, three, offerIn(second))
    const [third] = await here.succeed(busy.event('created'), busy.event('rejected', { reason: 'busy' }))
    expect(third).toMatchObject({ data: { executor_id: two } })
    const last = offered(id, two, offerIn(third))
    expect(await here.succeed(last.event('created'), last.event('rejected', { reason: 'no' }))).toEqual([])
  })

  it('is taken back when its request is cancelled, whichever of the two is handled first', async () => {
    const [id, other] = [randomUUID(), randomUUID()]
    const cancelled = (request_id: string) => requestEvent('cancelled', request_id, { reason: 'it works again' })
    const open = offered(id, 7)
    await here.succeed(asked(id), open.event('created'))
    const back = (assignment_id: string) => [
      { type: 'assignment.rejected', subject: `assignment/${assignment_id}`, data: { assignment_id, is_final: true } },
    ]
    expect(await here.succeed(cancelled(id))).toMatchObject(back(open.id))
    const late = offered(other, 7)
    await here.succeed(asked(other), cancelled(other))
    expect(await here.succeed(late.event('created'))).toMatchObject(back(late.id))
  })

  it('that is refused for good goes to nobody', async () => {
    const id = randomUUID()
    const { event } = offered(id, 7)
    await here.succeed(asked(id, { category: 'heating' }), event('created'))
    expect(await here.succeed(event('rejected', { reason: 'cancelled', is_final: true }))).toEqual([])
  })
})

describe('a shift', () => {
  const shift = (hour: number, shift_id = randomUUID()) => {
    const hours = { starts_at: `2026-01-05T${String(hour).padStart(2, '0')}:00:00Z`, duration_minutes: 120 }
    const event = (verb: string, more: object = {}) => here.event(`shift.${verb}`, 4, { shift_id, ...more })
    return {
      id: shift_id,
      created: () => event('created', { ...hours, district: 'north' }),
      updated: (to: number) => event('updated', { ...shift(to).hours, changes: ['starts_at'] }),
      assigned: (executor_id: number) => event('assigned', { executor_id }),
      transferred: (executor_id: number) => event('transferred', { executor_id, reason: 'ill' }),
      hours,
    }
  }
  const executorOf = async (id: string) =>
    (await here.rows('select executor_id from requests.shifts where shift_id = $1', id))[0]?.executor_id

  it('is planned, assigned and transferred, and keeps who had it', async () => {
    const one = shift(8)
    const transfer = one.transferred(102)
    await here.succeed(one.created(), one.updated(9), one.assigned(101), transfer, transfer)
    expect(await executorOf(one.id)).toBe('102')
    expect(
      await here.rows('select from_executor_id, to_executor_id from requests.transfers where shift_id = $1', one.id),
    ).toEqual([{ from_executor_id: '101', to_executor_id: '102' }])
    expect(await complaintsOf(one.assigned(101))).toEqual([
      `IllegalTransition: shift ${one.id} is assigned: there can be no shift.assigned`,
    ])
  })

  it('is not given to who has another one then: by assigning, by moving it, by transferring it', async () => {
    const [morning, overlapping, noon] = [shift(8), shift(9), shift(10)]
    await here.succeed(morning.created(), overlapping.created(), noon.created())
    await here.succeed(morning.assigned(201), noon.assigned(201), overlapping.assigned(202))
    const clash = expect.stringMatching(/^ShiftConflict: executor 201 cannot have shift .* is at the same time$/)
    const another = shift(9)
    await here.succeed(another.created())
    expect(await complaintsOf(another.assigned(201))).toEqual([clash])
    expect(await complaintsOf(noon.updated(9))).toEqual([clash])
    expect(await complaintsOf(overlapping.transferred(201))).toEqual([clash])
    expect(await executorOf(overlapping.id)).toBe('202')
  })

  it('is guarded by the table itself, whatever handlers do at the same time', async () => {
    const [one, two] = [shift(8), shift(9)]
    await here.succeed(one.created(), two.created(), one.assigned(301))
    await expect(here.rows('update requests.shifts set executor_id = 301 where shift_id = $1', two.id)).rejects.toThrow(
      'one_shift_at_a_time',
    )
  })

  it('is told to its executor, as is a request', async () => {
    const one = shift(8)
    await here.succeed(one.created())
    expect(await here.succeed(one.assigned(401))).toMatchObject([
      { type: 'notification.send', data: { user_id: 401, template: 'shift.assigned', about: `shift/${one.id}` } },
    ])
  })
})

describe('a notification', () => {
  const send = (user_id: number, channel = 'telegram') => {
    const notification_id = randomUUID()
    const data = { notification_id, user_id, channel, template: 'x', about: 'shift/1' }
    return here.event('notification.send', 5, data)
  }
  const row = async (event: EvtEvent) =>
    (
      await here.rows(
        'select status, attempts, reason from requests.notifications where notification_id = $1',
        (event.data as { notification_id: string }).notification_id,
      )
    )[0]

  it('is delivered', async () => {
    const event = send(++users)
    const [outcome] = await here.succeed(event)
    expect(outcome).toMatchObject({ type: 'notification.delivered', data: { attempts: 1, channel: 'telegram' } })
    await here.succeed(outcome as EvtEvent, outcome as EvtEvent)
    expect(await row(event)).toEqual({ status: 'delivered', attempts: 1, reason: null })
    await here.succeed(event)
    expect(await row(event)).toMatchObject({ status: 'delivered' })
  })

  it('fails at once when its user is gone', async () => {
    const id = ++users
    await here.succeed(created(id), userEvent('deleted', id))
    const event = send(id)
    const [outcome] = await here.succeed(event)
    expect(outcome).toMatchObject({ type: 'notification.failed' })
    await here.succeed(outcome as EvtEvent)
    expect(await row(event)).toEqual({ status: 'failed', attempts: 1, reason: 'the user is not there any more' })
  })

  it('is tried again while its channel does not answer', async () => {
    await here.rows("update requests.channels set is_up = false where channel = 'sms'")
    const outcomes = await here.handle(send(1, 'sms'))
    expect(outcomes[0]?.error).toBeInstanceOf(ChannelDown)
  })
})

describe('the system', () => {
  it('keeps the latest health of a service, and every error once', async () => {
    const check = (second: number, status: string) =>
      here.event('system.health_check', second, { service: 'users', status, checks: [] })
    await here.succeed(check(2, 'degraded'), check(1, 'healthy'))
    expect(await here.rows('select status from requests.health')).toEqual([{ status: 'degraded' }])
    const error = here.event('system.error', 3, {
      ...{ service: 'users', error_type: 'TimeoutError', message: 'too slow', severity: 'error' },
    })
    await here.succeed(error, error)
    expect(await here.rows('select service, error_type, errors from requests.error_rates')).toEqual([
      { service: 'users', error_type: 'TimeoutError', errors: '1' },
    ])
  })
})
