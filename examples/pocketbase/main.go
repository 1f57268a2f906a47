// PocketBase as a system to connect to, used as it is released: this program only adds, by the usual migration,
// one collection. It holds nothing of Syncline. README.md says how to build and start it.
package main

import (
	"log"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/core"
)

// contacts: what a shop's customer becomes, and what can be read from here again.
func contacts(app core.App) error {
	collection := core.NewBaseCollection("contacts")
	collection.Fields.Add(
		&core.EmailField{Name: "email", Required: true},
		&core.TextField{Name: "first_name", Required: true},
		&core.TextField{Name: "last_name"},
		&core.TextField{Name: "phone"},
		&core.BoolField{Name: "newsletter"},
		&core.DateField{Name: "signed_up_on"},
		&core.JSONField{Name: "address"},
		&core.AutodateField{Name: "created", OnCreate: true},
		&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	// One contact per email, whatever the case of its letters; the second create is refused.
	collection.AddIndex("contacts_email", true, "email COLLATE NOCASE", "")
	collection.AddIndex("contacts_updated", false, "updated, id", "")
	return app.Save(collection)
}

func main() {
	core.AppMigrations.Register(contacts, nil, "1_contacts.go")

	if err := pocketbase.New().Start(); err != nil {
		log.Fatal(err)
	}
}
