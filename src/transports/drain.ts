/** How long a lane that another member should get waits for what is unsettled, before it goes all the same. */
export const drainMs = 30_000
