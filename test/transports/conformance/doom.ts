import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from '../../setup/on-test-finished.ts'
import type { Doomed, DoomedPlan } from './world.ts'

const program = new URL('./member-process.ts', import.meta.url)

/** A member in a process of its own; resolves when it holds what the plan says. */
export async function doomInProcess(url: string, plan: DoomedPlan): Promise<Doomed> {
  const child = fork(program, [url, JSON.stringify(plan)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  onTestFinished(() => kill(child))
  const { taken } = (await answer(child)) as Pick<Doomed, 'taken'>
  return {
    taken,
    kill: () => kill(child),
    freeze: () => void child.kill('SIGSTOP'),
    async thaw() {
      child.kill('SIGCONT')
      child.send('settle')
      return (await answer(child)) as { lost: number }
    },
  }
}

async function answer(child: ChildProcess): Promise<unknown> {
  const died = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the member ended with ${code ?? signal}`)
  })
  const [message] = await Promise.race([once(child, 'message'), died])
  return message
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
