package access

import "sallyport.dev/handlers/api"

func (h *Access) secretRoutes() []api.Route { return nil }
