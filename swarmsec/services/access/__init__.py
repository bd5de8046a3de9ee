"""Who may call: identities of people and programs, and the policy documents in force."""
