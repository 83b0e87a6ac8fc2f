package access

import "sallyport.dev/handlers/api"

func (h *Access) requestRoutes() []api.Route { return nil }
