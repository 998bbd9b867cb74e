package event

// NewUser is the payload of notification.new_user.
type NewUser struct {
	Notification `schema:"-"`
	UserID       string `schema:"user_id"`
	Password     Secret `schema:"password"` // the initial password, in clear text
}

// PasswordRecovery is the payload of notification.password_recovery.
type PasswordRecovery struct {
	Notification      `schema:"-"`
	UserID            string `schema:"user_id"`
	Email             string `schema:"email"`
	FirstName         string `schema:"first_name"`
	LastName          string `schema:"last_name"`
	Timezone          string `schema:"timezone"`
	PasswordResetLink Secret `schema:"password_reset_link"` // whoever has it can set a password
}
