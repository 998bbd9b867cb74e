package crossbar

// Shrink divides the limits of listings, so that tests reach them sooner.
func (c *Client) Shrink(by int) {
	c.limits.items /= by
	c.limits.attempts /= by
	c.limits.item /= int64(by)
}
