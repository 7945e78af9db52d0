package fake

// lists are what fields of some names hold, by the last word of the name.
func lists() map[string][]string {
	page := []string{"/", "/search", "/cart", "/checkout", "/account", "/products/17", "/products/42", "/products/99", "/help", "/blog/hello"}
	cities := []string{"Amsterdam", "Berlin", "Cairo", "Denver", "Edinburgh", "Florence", "Geneva", "Helsinki", "Istanbul", "Jakarta", "Kyoto", "Lisbon", "Montreal", "Nairobi", "Oslo", "Prague", "Quito", "Riga", "Seoul", "Tunis", "Vienna", "Warsaw", "Zagreb"}
	products := []string{"kettle", "lamp", "notebook", "backpack", "chair", "bicycle bell", "rain jacket", "coffee grinder", "headphones", "desk", "tent", "watch", "scarf", "keyboard", "mug"}
	actions := []string{"view", "view", "view", "click", "click", "search", "add_to_cart", "purchase"}
	return map[string][]string{
		"city": cities, "town": cities,
		"country":  {"AT", "BR", "CA", "CH", "DE", "EG", "ES", "FI", "FR", "GB", "IN", "IT", "JP", "KE", "KR", "NL", "NO", "PL", "PT", "US"},
		"currency": {"EUR", "EUR", "USD", "USD", "GBP", "CHF", "JPY"},
		"status":   {"new", "paid", "paid", "packed", "shipped", "shipped", "delivered", "returned"},
		"state":    {"new", "active", "active", "active", "paused", "closed"},
		"plan":     {"free", "free", "basic", "plus", "team"}, "tier": {"free", "basic", "plus"},
		"product": products, "article": products,
		"category": {"home", "sports", "books", "clothes", "electronics", "garden"},
		"coupon":   {"WELCOME10", "AUTUMN", "FREESHIP", "LOYAL5"},
		"color":    {"black", "blue", "green", "grey", "red", "white", "yellow"}, "colour": {"black", "blue", "green", "grey", "red", "white", "yellow"},
		"size":   {"XS", "S", "M", "L", "XL"},
		"action": actions, "event": actions, "type": actions, "kind": actions,
		"page": page, "path": page,
		"browser":  {"firefox", "chrome", "chrome", "safari", "edge"},
		"agent":    {"Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (Macintosh)", "Mozilla/5.0 (Windows NT 10.0)", "curl/8.5.0"},
		"device":   {"desktop", "phone", "phone", "tablet"},
		"platform": {"android", "ios", "linux", "macos", "windows"}, "os": {"android", "ios", "linux", "macos", "windows"},
		"language": {"de", "en", "en", "es", "fr", "it", "ja", "pt"}, "locale": {"de-DE", "en-GB", "en-US", "es-ES", "fr-FR", "ja-JP"},
		"method":  {"card", "card", "transfer", "invoice", "voucher"},
		"channel": {"web", "web", "app", "store"}, "source": {"web", "web", "app", "store"},
		"region": {"north", "south", "east", "west"},
		"unit":   {"piece", "kg", "m", "l"},
	}
}

func firstNames() []string {
	return []string{"Ada", "Alan", "Barbara", "Claude", "Dorothy", "Edsger", "Emmy", "Frances", "Grace", "Hedy", "Ida", "Jean", "Joan", "Katherine", "Lise", "Margaret", "Niklaus", "Radia", "Sofia", "Tony", "Vera"}
}

func familyNames() []string {
	return []string{"Abel", "Brook", "Carter", "Dahl", "Ember", "Field", "Garner", "Hill", "Ivers", "Jansen", "Keller", "Lake", "Moor", "North", "Olsen", "Park", "Quist", "Rivers", "Stone", "Tarn", "Underwood", "Vale", "Winter", "York"}
}

func plainWords() []string {
	return []string{"amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "indigo", "juniper", "kelp", "lagoon", "meadow", "north", "ocean", "pebble", "quartz", "river", "shore", "timber", "upland", "valley", "willow", "yarrow"}
}
